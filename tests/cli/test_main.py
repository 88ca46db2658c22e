"""The command as a whole: exit codes, messages, and that it starts at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from codeformer_core import cli
from codeformer_core.cli import main
from codeformer_core.errors import PictureError

ROOT = Path(__file__).parent.parent.parent


def command(monkeypatch, error: BaseException | None) -> None:
    """Make `codeformer inspect x` end with an error."""

    def run(options) -> int:
        if error is not None:
            raise error
        return 0

    monkeypatch.setattr(cli.inspect, "run", run)


def test_done_is_zero(monkeypatch):
    command(monkeypatch, None)
    assert main(["inspect", "x"]) == 0


def test_expected_errors_are_one_line_without_traceback(monkeypatch, capsys):
    command(monkeypatch, PictureError("a.png: no good"))
    assert main(["inspect", "x"]) == 1
    assert capsys.readouterr().err == "codeformer: a.png: no good\n"


def test_unexpected_errors_say_how_to_learn_more(monkeypatch, capsys):
    command(monkeypatch, RuntimeError("deep inside"))
    assert main(["inspect", "x"]) == 1
    error = capsys.readouterr().err
    assert "deep inside" in error
    assert "--debug" in error
    assert "Traceback" not in error


def test_debug_shows_the_traceback(monkeypatch, capsys):
    command(monkeypatch, PictureError("a.png: no good"))
    assert main(["inspect", "x", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_clean(monkeypatch, capsys):
    command(monkeypatch, KeyboardInterrupt())
    assert main(["inspect", "x"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["restore", "a.png"],
        ["restore", "a.png", "-o", "out", "--fidelity", "1.5"],
        ["restore", "a.png", "-o", "out", "--fidelity", "nan"],
        ["restore", "a.png", "-o", "out", "--upscale", "8"],
        ["restore", "a.png", "-o", "out", "--dtype", "int8"],
    ],
)
def test_a_command_line_that_cannot_be_meant_is_two(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["demo", "restore", "inspect", "convert", "download"])
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as raised:
        main([name, "--help"])
    assert raised.value.code == 0
    assert f"codeformer {name}" in capsys.readouterr().out


def in_new_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_help_loads_no_heavy_package():
    code = (
        "import sys; from codeformer_core.cli import make_parser; make_parser().format_help(); "
        "print([name for name in ('torch', 'numpy', 'PIL', 'tqdm') if name in sys.modules])"
    )
    assert in_new_process("-c", code).stdout.strip() == "[]"


def test_module_and_command_are_the_same():
    done = in_new_process("-m", "codeformer_core", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("codeformer ")


def test_a_reader_that_has_had_enough_is_no_error():
    code = (
        "import sys, os; from codeformer_core.cli import main; read, write = os.pipe(); "
        "os.close(read); os.dup2(write, 1); sys.exit(main(['download']))"
    )
    done = in_new_process("-c", code)
    assert done.returncode == 0
    assert done.stderr == ""
