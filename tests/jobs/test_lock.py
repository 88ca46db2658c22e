"""One job at a time on an output folder of this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from codeformer_core.cli import main
from codeformer_core.errors import SettingError
from codeformer_core.jobs import lock, record

HOLD = """
import sys, time
from pathlib import Path
from codeformer_core.jobs import lock
with lock.only_job(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_job_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    folder = tmp_path / "out" / record.NAME
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SettingError, match="out: another job writes into this folder"):
            with lock.only_job(folder):
                pass
    finally:
        holder.kill()
        holder.communicate()
    with lock.only_job(folder):
        pass


@pytest.mark.parametrize("engine", [[], ["--cluster"]])
def test_no_engine_works_where_another_job_does(
    engine: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with lock.only_job(tmp_path / "out" / record.NAME):
        assert main(["restore", "a.png", "-o", str(tmp_path / "out"), *engine]) == 1
    assert "another job writes into this folder" in capsys.readouterr().err


def test_a_job_that_writes_nothing_leaves_no_folder(tmp_path: Path) -> None:
    with lock.only_job(tmp_path / "out" / record.NAME):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with lock.only_job(tmp_path / "out" / record.NAME):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
