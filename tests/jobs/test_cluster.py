"""`codeformer restore --cluster`: the results, words and record of one process."""

from pathlib import Path

import pytest

from codeformer_core.addresses import place
from codeformer_core.cli import main
from codeformer_core.jobs import lock, places
from codeformer_core.jobs.restorer import PictureRestorer
from tests.jobs.aligned import PICTURES, command, contents, done, times


def test_results_words_and_exit_code_are_those_of_one_process(
    ray: str, faces: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(faces, tmp_path / "one", model)) == 1
    one = capsys.readouterr()
    assert main(command(faces, tmp_path / "ray", model, "--cluster", ray)) == 1
    many = capsys.readouterr()
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "ray")) == PICTURES
    assert many.out.replace(str(tmp_path / "ray"), str(tmp_path / "one")) == one.out
    assert many.err == one.err
    assert "3 pictures failed" in many.err
    assert "and so in" in many.out, "notes are gathered"


def test_engines_go_on_with_each_others_work(
    ray: str,
    faces: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(command(faces, tmp_path / "whole", model))
    honest, out = PictureRestorer.restore, tmp_path / "out"

    def stop_at_fifth(self, task, on_progress):
        if done(out) == 5:
            raise KeyboardInterrupt
        return honest(self, task, on_progress)

    monkeypatch.setattr(PictureRestorer, "restore", stop_at_fifth)
    main(command(faces, out, model))
    monkeypatch.undo()
    before = times(out)
    assert len(before) == 5
    capsys.readouterr()
    main(command(faces, out, model, "--cluster", ray, "--resume"))
    assert "earlier run: 5" in capsys.readouterr().out
    assert contents(out) == contents(tmp_path / "whole")
    assert {name: times(out)[name] for name in before} == before, "nothing is done twice"
    (out / "1" / "frame_0001.jpg").unlink()
    main(command(faces, out, model, "--resume"))
    assert f"earlier run: {PICTURES - 1}" in capsys.readouterr().out
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.extended
def test_a_bucket_is_worked_through_by_several_processes(
    ray: str,
    s3: str,
    faces: Path,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 1.0)
    main(command(faces, tmp_path / "out", model))
    for path in (path for path in faces.rglob("*.*") if path.is_file()):
        places.write_bytes(place(f"{s3}/in/{path.relative_to(faces)}"), path.read_bytes())
    assert main(command(f"{s3}/in", f"{s3}/out", model, "--cluster", ray)) == 1
    results = contents(tmp_path / "out")
    found = {name: places.read_bytes(place(f"{s3}/out/{name}")) for name in results}
    assert found == results
    capsys.readouterr()
    main(command(f"{s3}/in", f"{s3}/out", model, "--resume"))
    assert f"earlier run: {PICTURES}" in capsys.readouterr().out
