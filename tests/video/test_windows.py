"""Reading a video from its middle gives the frames of reading it from its beginning."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codeformer_core.video import windows
from codeformer_core.video.muxing import Times
from codeformer_core.video.reading import inspect_video, read_frames
from codeformer_core.video.survey import Survey
from tests.video.clips import Clip

OPEN = {"g": "15", "bf": "2", "x264-params": "open-gop=1:scenecut=0"}
CLIPS = {
    "open.mp4": Clip(options=OPEN),
    "open.ts": Clip(options=OPEN),
    "refresh.mkv": Clip(options={"g": "15", "x264-params": "intra-refresh=1"}),
    "old.avi": Clip(codec="mpeg4", options={"g": "15", "bf": "2"}),
}


def paint(index: int) -> np.ndarray:
    """A frame every pixel of which is another one in the next."""
    noise = np.random.default_rng(0).integers(0, 200, (96, 128, 3)).astype(np.uint8)
    return np.roll(noise, (2 * index, 3 * index), (0, 1))


@pytest.mark.parametrize("name", CLIPS)
def test_frames_from_a_place_are_those_of_the_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = replace(CLIPS[name], count=75, paint=paint).write(tmp_path / name)
    information = inspect_video(source)
    whole = [(each.index, each.time, shown(each)) for each in read_frames(information)]
    survey = Survey(Times([time for _, time, _ in whole], 1), (), (), 96, 128, ())

    def refuse(*arguments: object) -> None:
        raise AssertionError("it was read from the beginning")

    if name != "old.avi":  # which knows only of some frames when they are shown
        monkeypatch.setattr(windows, "read_frames", refuse)
    for start in (1, 29, 31, 46, 74):
        found = windows.frames_from(information, survey, start)
        assert [(each.index, each.time, shown(each)) for each in found] == whole[start:]


def test_other_frames_than_those_that_should_come_are_not_taken(tmp_path: Path) -> None:
    source = Clip(count=40, options={"g": "5"}).write(tmp_path / "clip.mp4")
    information = inspect_video(source)
    times = [frame.time for frame in read_frames(information)]
    wrong = [*times[:36], times[36] - 1, *times[37:]]
    survey = Survey(Times(wrong, 1), (), (), 96, 128, ())
    found = windows.frames_from(information, survey, 34)
    assert [(frame.index, frame.time) for frame in found] == list(enumerate(times))[34:]


def shown(frame) -> bytes:
    return frame.picture.to_ndarray(format="rgb24").tobytes()
