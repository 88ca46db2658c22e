"""`codeformer restore` takes videos beside pictures, by the same rules."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeformer_core.checkpoints import save_network
from codeformer_core.cli import main
from codeformer_core.video import segments
from codeformer_core.video.segments import SegmentFolder
from tests.video.clips import Clip, packets, pictures, timing

ROOT = Path(__file__).parents[2]


def portrait(astronaut, index):
    """The astronaut, moved a little, small enough for a quick test."""
    picture = (astronaut[:240, 100:340].numpy() * 255).astype(np.uint8)
    return np.roll(picture, (index, index), (0, 1))


@pytest.fixture
def clip(tmp_path, astronaut):
    """A second of the astronaut with sound."""
    made = Clip(240, 240, 12, paint=lambda index: portrait(astronaut, index), audio=True)
    (tmp_path / "in").mkdir()
    return made.write(tmp_path / "in" / "clip.mp4")


@pytest.fixture
def restore(tmp_path, tiny_codeformer, capsys):
    """Run the command; returns its exit code and what it printed."""
    model = save_network(tmp_path / "tiny.safetensors", tiny_codeformer)

    def run(*arguments):
        code = main(
            ["restore", "--model", str(model), "-o", str(tmp_path / "out"), *map(str, arguments)]
        )
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_a_folder_of_both_is_restored(restore, clip, tmp_path, astronaut):
    Image.fromarray(portrait(astronaut, 0)).save(clip.with_name("photo.png"))
    code, printed = restore(clip.parent)
    assert code == 0
    assert "2 of 2 files restored" in printed
    result = tmp_path / "out" / "clip.mp4"
    assert timing(result) == timing(clip)
    assert packets(result, "audio") == packets(clip, "audio")
    assert (pictures(result) != pictures(clip)).any()
    assert (tmp_path / "out" / "photo.png").is_file()
    words = printed.splitlines()
    words.insert(1, "finished by an earlier run: 2")
    assert restore(clip.parent, "--resume")[1].splitlines() == words


def test_other_containers_get_one_that_holds_them(restore, clip, tmp_path):
    made = Clip(64, 64, 3, codec="mpeg4", options={}, centre=lambda index: None)
    code, printed = restore(made.write(tmp_path / "old.avi"))
    assert code == 0, printed
    assert (tmp_path / "out" / "old.avi.mkv").is_file()


def test_a_stopped_video_is_told_with_what_is_restored_of_it(restore, clip, monkeypatch):
    monkeypatch.setattr(segments, "SECONDS", 0.2)
    note = SegmentFolder.note

    def stop_in_second(self, segment, helped, failed):
        if segment.start:
            (self.path / "._00000000-00000005.mkv").touch()  # as macOS does on a share
            raise KeyboardInterrupt
        note(self, segment, helped, failed)

    monkeypatch.setattr(SegmentFolder, "note", stop_in_second)
    code, printed = restore(clip)
    assert code == 130
    assert f"{clip}: stopped with 5 frames restored; --resume goes on from here" in printed
    assert "0 of" not in printed
    monkeypatch.undo()
    assert "1 of 1 video restored" in restore(clip, "--resume")[1]


def test_a_broken_video_does_not_stop_the_others(restore, clip, tmp_path):
    clip.with_name("broken.mp4").write_bytes(b"nothing")
    code, printed = restore(clip.parent)
    assert code == 1
    assert "broken.mp4: cannot be read as a video" in printed
    assert (tmp_path / "out" / "clip.mp4").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--people", "7"], "there is no person 7"),
        (["--aligned"], "--aligned is for pictures"),
        (["--per-face", "0.3"], "--picked and --per-face are for pictures"),
    ],
)
def test_what_cannot_be_done_is_said(options, message, restore, clip):
    code, printed = restore(clip, *options)
    assert code == 1
    assert message in printed


def test_a_video_grows_and_is_nearer_to_the_truth_by_the_network(restore, tmp_path, astronaut):
    truth = portrait(astronaut, 0).astype(int)
    half = truth.reshape(120, 2, 120, 2, 3).mean((1, 3)).round().astype(np.uint8)
    made = Clip(120, 120, 2, codec="ffv1", pixels="yuv444p", options={}, paint=lambda index: half)
    clip, errors = made.write(tmp_path / "small.mkv"), []
    for method in ("bicubic", "network"):
        options = ("--upscale", "2", "--upscale-method", method, "--opacity", "0")
        assert restore(clip, *options)[0] == 0
        result = pictures(tmp_path / "out" / "small.mkv")
        assert result.shape == (2, 240, 240, 3)
        errors.append(abs(result[1] - truth).mean())
    assert errors[1] < 0.95 * errors[0]


def test_stability_and_quality_change_the_result(restore, clip, tmp_path):
    result = tmp_path / "out" / "clip.mp4"
    sizes = []
    for options in ([], ["--stability", "0"], ["--quality", "40"]):
        assert restore(clip, *options)[0] == 0
        sizes.append(result.stat().st_size)
    assert len(set(sizes)) == 3 and sizes[2] < sizes[0]


KILLED = """
import sys
from codeformer_core.video import segments
from codeformer_core.cli import main
from codeformer_core.video import segments
from codeformer_core.video.segments import SegmentFolder

segments.SECONDS = 0.2
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_file(tmp_path, astronaut, tiny_codeformer):
    made = Clip(240, 240, 30, paint=lambda index: portrait(astronaut, index), audio=True)
    source = made.write(tmp_path / "clip.mp4")
    model = save_network(tmp_path / "tiny.safetensors", tiny_codeformer)

    def command(output, *options):
        arguments = ["restore", source, "--model", model, "-o", tmp_path / output, *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, *map(str, arguments)], env=environment
        )

    assert command("whole").wait() == 0
    killed = command("broken")
    segments = tmp_path / "broken" / ".clip.mp4.segments"
    while not list(segments.glob("*.mkv")):
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = len(list(segments.glob("*.mkv")))
    assert 0 < done < 6 and not (tmp_path / "broken" / "clip.mp4").exists()
    assert command("broken", "--resume").wait() == 0
    result = tmp_path / "broken" / "clip.mp4"
    assert result.read_bytes() == (tmp_path / "whole" / "clip.mp4").read_bytes()
    assert not segments.exists()
