"""Long jobs of `codeformer restore`: killed, resumed, with bad files, on a disk that fills up.

CODEFORMER_JOB_PICTURES=500 makes the long run of it.
"""

import errno
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from codeformer_core import files
from codeformer_core.cli import main, make_parser
from codeformer_core.cli import restore as restore_command
from codeformer_core.images import Picture, read_picture, write_picture
from codeformer_core.jobs import record
from codeformer_core.models import load

ROOT = Path(__file__).parent.parent.parent
PICTURES = int(os.environ.get("CODEFORMER_JOB_PICTURES", "12"))
KILLS = 2 + PICTURES // 50


@pytest.fixture
def faces(tmp_path: Path, astronaut) -> Path:
    """A folder of small aligned faces of several formats, each one different."""
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(PICTURES):
        top, left = 40 + index % 20, 138 + index // 20
        suffix = (".png", ".jpg", ".tif", ".webp")[index % 4]
        pixels = astronaut[top : top + 64, left : left + 64]
        face = Picture(pixels, bits=16 if index % 8 == 0 else 8)
        write_picture(folder / f"frame_{index:04}{suffix}", face)
    return folder


@pytest.fixture
def restore(faces: Path, model: Path, tmp_path: Path) -> Callable[..., int]:
    """Restore the folder in this process."""

    def run(*arguments: str, output: str = "out") -> int:
        return main([*command(faces, tmp_path / output, model), *arguments])

    return run


def command(source: Path, output: Path, model: Path) -> list[str]:
    where = ["restore", str(source), "-o", str(output)]
    return [*where, "--model", str(model), "--aligned", "--device", "cpu"]


def contents(folder: Path) -> dict[str, bytes]:
    """All results; the record and leftovers are hidden."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*"))}


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    """What changes when a result is written again."""
    stats = {path.name: path.stat() for path in folder.glob("[!.]*")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def damage(folder: Path) -> set[str]:
    """Put bad files among the pictures."""
    (folder / "bad_empty.png").touch()
    (folder / "bad_cut.png").write_bytes((folder / "frame_0000.png").read_bytes()[:300])
    (folder / "bad_page.jpg").write_text("<html>not found</html>")
    (folder / "bad_link.webp").symlink_to(folder / "nothing.webp")
    return {path.name for path in folder.glob("bad_*")}


def kill_after(arguments: list[str], output: Path, results: int) -> None:
    """Start the command and kill it once this many more results are there, or when it ends."""
    start = len(contents(output))
    process = subprocess.Popen(
        [sys.executable, "-m", "codeformer_core", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and len(list(output.glob("[!.]*"))) < start + results:
        time.sleep(0.002)
    process.kill()
    process.wait()


def test_a_job_killed_again_and_again_repeats_nothing_and_loses_nothing(
    faces: Path, model: Path, restore, tmp_path: Path, capsys
) -> None:
    assert restore(output="whole") == 0
    bad = damage(faces)
    out, chance = tmp_path / "out", random.Random(0)
    resumed = [*command(faces, out, model), "--resume"]
    finished: dict[str, tuple[int, int]] = {}
    for kill in range(KILLS):
        kill_after(resumed, out, chance.randint(1, max(1, PICTURES // KILLS)))
        now = identities(out)
        # The one whose result was in place, but not yet in the record, may be made again.
        again = [name for name, identity in finished.items() if now[name] != identity]
        assert len(again) <= 1, f"kill {kill}"
        finished = now
    capsys.readouterr()
    assert main(resumed) == 1
    printed = capsys.readouterr()
    assert f"{len(bad)} pictures failed" in printed.err
    assert all(name in printed.err for name in bad)
    assert contents(out) == contents(tmp_path / "whole")
    assert not list(out.glob(".*.part"))


def test_resuming_a_finished_job_does_nothing(restore, tmp_path: Path, capsys) -> None:
    assert restore("--resume") == 0
    before = identities(tmp_path / "out")
    assert restore("--resume", "--device", "cpu") == 0
    assert identities(tmp_path / "out") == before
    assert f"earlier run: {PICTURES}" in capsys.readouterr().out


def test_a_finished_job_loads_no_model(restore, model: Path, monkeypatch) -> None:
    from codeformer_core.cli import restore as module

    assert restore() == 0
    monkeypatch.setattr(module, "load_network", None)
    assert restore("--resume") == 0


def test_without_resume_all_is_made_again(restore, tmp_path: Path) -> None:
    restore()
    before = identities(tmp_path / "out")
    restore()
    after = identities(tmp_path / "out")
    assert all(after[name] != before[name] for name in before)


def test_other_settings_are_not_taken_for_done(restore, model: Path, tmp_path: Path) -> None:
    restore("--fidelity", "0")
    first = identities(tmp_path / "out")
    restore("--fidelity", "1", "--resume")
    second = identities(tmp_path / "out")
    assert all(second[name] != first[name] for name in first)
    restore("--fidelity", "0", "--resume")  # finished once, but replaced since
    third = identities(tmp_path / "out")
    assert all(third[name] != second[name] for name in second)
    os.utime(model, (1, 1))  # the model under the same name may be another
    restore("--fidelity", "0", "--resume")
    fourth = identities(tmp_path / "out")
    assert all(fourth[name] != third[name] for name in third)


def digest(*arguments: str) -> str:
    """What `restore` with these arguments would note beside its results."""
    options = make_parser().parse_args(["restore", "picture.png", "-o", "out", *arguments])
    return restore_command.settings_of(options)


def test_every_option_changes_results_or_says_where_and_how_they_are_made(tmp_path: Path) -> None:
    options = vars(make_parser().parse_args(["restore", "picture.png", "-o", "out"]))
    assert set(options) - set(restore_command.SETTINGS) == {
        "inputs", "output", "format", "max_megapixels", "resume", "cluster", "workers", "patience",
        "device", "weights_dir", "debug", "run",
    }  # fmt: skip
    (adapter := tmp_path / "anna.safetensors").touch()
    assert digest("--person", str(adapter)) != digest()
    weak = digest("--person", str(adapter), "--person-strength", "0.2")
    assert weak != digest("--person", str(adapter))


def replace_weights(path: Path) -> None:
    """Put another file under the same name."""
    path.write_bytes(path.read_bytes() + b"\0")


def test_an_upgrade_of_the_builtin_model_is_another_model(monkeypatch, tmp_path: Path) -> None:
    shipped = tmp_path / "builtin.safetensors"
    shipped.write_bytes(b"weights")
    monkeypatch.setattr(load, "BUILTIN_FOLDER", tmp_path)
    before = digest("--aligned")
    assert digest("--aligned") == before
    replace_weights(shipped)
    assert digest("--aligned") != before


@pytest.mark.parametrize("place", ["option", "cache"])
def test_a_model_found_by_its_name_may_be_replaced(place: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    folder = tmp_path / ("models" if place == "option" else "codeformer")
    folder.mkdir()
    (folder / "codeformer.pth").write_bytes(b"weights")
    named = ["--aligned", "--model", "codeformer.pth", "--weights-dir", str(tmp_path / "models")]
    before = digest(*named)
    assert digest(*named) == before
    replace_weights(folder / "codeformer.pth")
    assert digest(*named) != before


def test_another_detector_makes_other_results(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    (tmp_path / "codeformer").mkdir()
    weights = tmp_path / "codeformer" / "detection_Resnet50_Final.pth"
    without, of_aligned = digest(), digest("--aligned")
    weights.write_bytes(b"weights")
    found = digest()
    replace_weights(weights)
    assert len({without, found, digest()}) == 3
    assert digest("--aligned") == of_aligned, "aligned faces are not searched for"


@pytest.mark.parametrize("change", ["picture", "picture time", "result", "no result"])
def test_what_changed_is_made_again(change: str, restore, faces: Path, tmp_path: Path) -> None:
    restore()
    before = identities(tmp_path / "out")
    name = "frame_0004.png"
    if change == "picture":
        Image.open(faces / "frame_0008.png").save(faces / name)
    elif change == "picture time":
        os.utime(faces / name, (1, 1))
    elif change == "result":
        (tmp_path / "out" / name).write_bytes(b"spoiled")
    else:
        (tmp_path / "out" / name).unlink()
    restore("--resume")
    after = identities(tmp_path / "out")
    assert {each for each in before if after[each] != before[each]} == {name}
    assert read_picture(tmp_path / "out" / name).pixels.shape == (64, 64, 3)


def test_a_spoiled_record_costs_only_its_lines(restore, tmp_path: Path) -> None:
    restore()
    (path,) = (tmp_path / "out" / record.NAME).iterdir()
    before = identities(tmp_path / "out")
    lines = path.read_bytes().splitlines()
    first, second, *others, last = [line for line in lines if b"faces" in line]
    unknown = [first.replace(b'"faces": 1', b'"faces": null'), second.replace(b"notes", b"words")]
    bad = [b"[]", b'{"result": []}', b"\xff", *unknown, last[:20]]  # unknown is not none
    path.write_bytes(b"\n".join([*others, *bad]))
    restore("--resume")
    after = identities(tmp_path / "out")
    assert len([name for name in before if after[name] != before[name]]) == 3
    restore("--resume")
    assert identities(tmp_path / "out") == after


def test_what_a_killed_run_left_behind_goes(restore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    mine = out / f"{files._part_prefix(out / 'frame_0000.png')}abcd.part"
    other = out / f"{files._part_prefix(out / 'somebody.png')}abcd.part"
    for path in (mine, other, out / ".frame_0000.png.part"):
        path.touch()
    restore()
    left = sorted(path.name for path in out.glob(".*.part"))
    assert left == sorted([".frame_0000.png.part", other.name])


def test_a_disk_that_fills_up_stops_the_job_and_it_goes_on(
    restore, tmp_path: Path, monkeypatch, capsys
) -> None:
    out, honest = tmp_path / "out", os.fsync

    def full(descriptor: int) -> None:
        if len(list(out.glob("[!.]*"))) >= 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert restore() == 1
    printed = capsys.readouterr()
    assert "the disk is full" in printed.err
    assert "--resume goes on from here" in printed.out
    assert len(contents(out)) == 5, "nothing is tried after the disk is full"
    assert not list(out.glob(".*.part"))
    monkeypatch.undo()
    before = identities(out)
    assert restore("--resume") == 0
    assert len(contents(out)) == PICTURES
    after = identities(out)
    assert sum(after[name] != before[name] for name in before) <= 1
