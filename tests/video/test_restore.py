"""Faces of a whole video change, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codeformer_core.errors import PictureError, SettingError, VideoError
from codeformer_core.video.restore import VideoSettings, restore_video
from tests.video.clips import Clip, pictures
from tests.video.standins import Painted


def test_faces_change_and_nothing_else_does(tmp_path, white, restored):
    source = Clip(codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, white)
    before, after = pictures(source, "yuv444p"), pictures(result.path, "yuv444p")
    changed = (before != after).any(1)
    for index, frame in enumerate(changed):
        rows, columns = frame.nonzero()
        assert abs(columns.mean() - (50 + index)) < 3
        assert np.ptp(rows) < 80
    shown = pictures(result.path)
    assert (shown[5, 48, 55] > 250).all()


def test_a_restorer_that_changes_nothing_gives_the_same_samples(tmp_path, same, restored):
    source = Clip(codec="ffv1", options={}, centre=lambda index: (60, 48)).write(
        tmp_path / "clip.mkv"
    )
    result = restored(source, same)
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    inside = (slice(None), slice(38, 58), slice(50, 70))  # away from the marker's hard edge
    assert abs(before[inside] - after[inside]).max() <= 2


def test_faces_have_the_colours_that_the_restorer_gave_them(tmp_path, restored):
    red = Painted(lambda crops: torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand_as(crops))
    source = Clip(codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    coloured = restored(source, red)
    assert pictures(coloured.path)[5, 48, 55].tolist() == pytest.approx([255, 0, 0], abs=4)


def test_faces_without_finite_pixels_are_left_and_named(tmp_path, restored):
    broken = Painted(lambda crops: crops * float("nan"))
    source = Clip(codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, broken)
    assert any("12 faces left as in the source" in note for note in result.notes)
    assert (pictures(result.path) == pictures(source)).all()


def test_a_clip_without_a_face_is_copied(tmp_path, white, restored):
    source = Clip(centre=lambda index: None, audio=True).write(tmp_path / "clip.mp4")
    result = restored(source, white)
    assert result.tracks == 0 and white.calls == 0
    assert result.path.read_bytes() == source.read_bytes()


def test_no_face_is_painted_where_there_is_none(tmp_path, white, restored):
    """A cut to an empty scene: no frame after it may change."""

    def frame(index):
        if index < 8:
            return Clip().picture(index)
        return 255 - Clip(centre=lambda _: None).picture(index)

    source = Clip(count=16, paint=frame, codec="ffv1", options={}).write(tmp_path / "clip.mkv")
    result = restored(source, white)
    before, after = pictures(source, "yuv444p"), pictures(result.path, "yuv444p")
    changed = (before != after).any((1, 2, 3))
    assert changed[:8].all() and not changed[8:].any()


def test_a_lost_face_fades_out(tmp_path, white, restored):
    clip = Clip(count=40, side=20, codec="ffv1", options={})
    clip.centre = lambda index: (60, 48) if index < 20 else None
    source = clip.write(tmp_path / "clip.mkv")
    result = restored(source, white)
    green = pictures(result.path)[:, 48, 60, 1].astype(int)  # 20 in the marker, 255 restored
    assert green[12] > 250 and (np.diff(green[14:20]) < 0).all()
    assert abs(pictures(result.path)[20:].astype(int) - pictures(source)[20:]).max() == 0


@pytest.mark.parametrize(("search_size", "seen"), [(None, (96, 160)), (48, (48, 80))])
def test_frames_are_searched_at_the_size_asked_for(search_size, seen, tmp_path, same, detector):
    class Recorded(type(detector)):
        def detect(self, frames, *, search_size=None, **settings):
            self.seen = (*frames.shape[1:3], search_size)
            return super().detect(frames, **settings)

    source = Clip(96, 160, count=2).write(tmp_path / "clip.mkv")
    detector, settings = Recorded(), VideoSettings(search_size=search_size)
    restore_video(source, tmp_path / "result.mkv", same, detector, settings)
    assert detector.seen == (*seen, search_size)


@pytest.mark.parametrize("quality", [-1, 52])
def test_a_quality_out_of_range_is_refused(quality, tmp_path, same, restored):
    source = Clip(count=2).write(tmp_path / "clip.mp4")
    with pytest.raises(SettingError, match="quality"):
        restored(source, same, VideoSettings(quality=quality))


def test_a_missing_folder_is_named(tmp_path, same, detector):
    source = Clip(count=2).write(tmp_path / "clip.mp4")
    (tmp_path / "file").touch()
    with pytest.raises((PictureError, VideoError), match="file"):
        restore_video(source, tmp_path / "file" / "result.mp4", same, detector)
