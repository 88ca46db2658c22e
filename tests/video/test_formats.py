"""What a file holds stays: times, sound, samples, colours, opacity, shapes, or it is said."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from codeformer_core.errors import VideoError
from codeformer_core.video.encoding import choose_encoding
from codeformer_core.video.reading import inspect_video
from codeformer_core.video.restore import VideoSettings, restore_video
from tests.video.clips import Clip, duration, packets, pictures, timing

VARIABLE = [0, 40, 200, 240, 250, 400, 700, 703, 800, 900, 1000, 2000]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("even.mp4", Clip(audio=True)),
        ("variable.mp4", Clip(audio=True, times=VARIABLE)),
        ("variable.mkv", Clip(audio=True, subtitles=True, times=VARIABLE)),
        ("late.mkv", Clip(times=[900 + 100 * index for index in range(12)])),
        ("hevc.mov", Clip(codec="libx265", options={"x265-params": "log-level=none"}, audio=True)),
        ("vp9.webm", Clip(codec="libvpx-vp9", options={"cpu-used": "8"})),
        ("av1.mp4", Clip(codec="libsvtav1", options={"preset": "12"}, audio=True)),
        ("one_frame.mp4", Clip(count=1)),
    ],
)
def test_times_sound_and_subtitles_stay_as_they_are(name, clip, tmp_path, same, restored):
    source = clip.write(tmp_path / name)
    result = restored(source, same)
    assert result.restored == clip.count
    assert timing(result.path) == timing(source)
    if clip.times is None:  # else the length of the last frame is not known
        assert duration(result.path) == pytest.approx(duration(source), abs=0.041)
    for kind in ("audio", "subtitle"):
        assert packets(result.path, kind) == packets(source, kind)
    assert inspect_video(result.path).codec == inspect_video(source).codec


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed by Linux")
def test_no_encoder_puts_the_process_before_others(tmp_path, same, detector):
    clip = Clip(codec="libsvtav1", options={"preset": "12"}).write(tmp_path / "clip.mp4")
    restore_video(clip, tmp_path / "result.mp4", same, detector)
    threads = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(each) for each in threads} == {os.SCHED_OTHER}


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [
        ("ffv1", "yuv444p"), ("ffv1", "yuv422p10le"), ("ffv1", "bgr0"), ("ffv1", "gray"),
        ("ffv1", "bgra"), ("ffv1", "yuv420p16le"), ("qtrle", "rgb24"), ("libx264", "yuvj420p"),
        ("libx264", "nv12"), ("mpeg4", "yuv420p"), ("libx265", "yuv420p10le"),
    ],
)  # fmt: skip
def test_every_pixel_format_keeps_its_colours(codec, pixels, tmp_path, white, restored):
    clip = Clip(codec=codec, pixels=pixels, options={}, height=90, width=154)
    source = clip.write(tmp_path / ("clip.mov" if codec == "qtrle" else "clip.mkv"))
    result = restored(source, white)
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    outside = np.ones(before.shape[1:3], bool)
    outside[:, 5:110] = False
    assert abs(before - after)[:, outside].mean() < 2.5
    if pixels != "gray":
        assert after[5, 48, 55].min() > 230


def test_odd_sizes_are_kept(tmp_path, white, restored):
    source = Clip(codec="ffv1", options={}, height=75, width=121).write(tmp_path / "clip.mkv")
    result = restored(source, white)
    assert pictures(result.path).shape == (12, 75, 121, 3)


@pytest.mark.parametrize(
    ("codec", "pixels", "name"),
    [
        ("mjpeg", "yuvj420p", "clip.mkv"),
        ("mpeg4", "yuv420p", "clip.mp4"),
        ("libvpx-vp9", "yuv420p", "clip.mp4"),
        ("mpeg4", "yuv420p", "clip.mov"),
    ],
)
def test_odd_sizes_of_shared_colours_are_kept(codec, pixels, name, tmp_path, white, restored):
    clip = Clip(codec=codec, pixels=pixels, options={}, height=75, width=121)
    result = restored(clip.write(tmp_path / name), white)
    assert pictures(result.path).shape == (12, 75, 121, 3)


def test_an_odd_size_that_no_codec_of_the_ending_holds_is_said_at_once(tmp_path, white, restored):
    source = Clip(codec="libvpx-vp9", options={}, height=75, width=121).write(tmp_path / "clip.mkv")
    moved = source.rename(tmp_path / "clip.ts")
    with pytest.raises(VideoError, match="cannot hold frames of 121 x 75 pixels: choose another"):
        restored(moved, white)


def test_ten_bits_of_high_dynamic_range_keep_their_tags(tmp_path, same, restored):
    def tag(stream):
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        context.color_range = 1

    clip = Clip(
        codec="libx265", pixels="yuv420p10le", change=tag, options={"x265-params": "log-level=none"}
    )
    source = clip.write(tmp_path / "clip.mp4")
    result = restored(source, same)
    before, after = inspect_video(source), inspect_video(result.path)
    assert before.colour.transfer == 16
    assert (after.colour, after.format) == (before.colour, before.format)


def test_opacity_of_vp9_is_kept(tmp_path, white, restored):
    clip = Clip(codec="libvpx-vp9", pixels="yuva420p", options={"crf": "10", "auto-alt-ref": "0"})
    clip.change = lambda stream: stream.metadata.update({"alpha_mode": "1"})
    source = clip.write(tmp_path / "clip.webm")
    assert inspect_video(source).format.alpha
    result = restored(source, white)
    assert not any("transparency" in note for note in result.notes)
    before = pictures(source, "rgba", "libvpx-vp9")[..., 3].astype(int)
    after = pictures(result.path, "rgba", "libvpx-vp9")[..., 3].astype(int)
    assert abs(before - after).mean() < 2


def test_what_a_codec_cannot_hold_is_said(tmp_path):
    clip = Clip(codec="ffv1", pixels="yuva444p10le", options={})
    information = inspect_video(clip.write(tmp_path / "clip.mkv"))
    lost = choose_encoding(information, "result.mkv", codec="h264").lost
    assert any("transparency" in words for words in lost)
    assert choose_encoding(information, "result.mkv").lost == ()


def test_interlaced_sources_are_said(tmp_path):
    clip = Clip(options={"crf": "12", "x264-params": "tff=1"}).write(tmp_path / "clip.mp4")
    (said,) = choose_encoding(inspect_video(clip), "result.mp4").lost
    assert "deinterlace" in said


@pytest.mark.skipif(
    not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV writes no rotation"
)
@pytest.mark.parametrize("degrees", [90, -90, 180])
def test_rotated_clips_come_out_upright(degrees, tmp_path, white, restored):
    def turn(stream):
        stream.set_display_rotation(degrees)

    clip = Clip(change=turn, centre=lambda index: (40, 30))
    source = clip.write(tmp_path / "clip.mp4")
    result = restored(source, white)
    stored, shown = pictures(source), pictures(result.path)
    upright = np.rot90(stored, round(degrees / 90), (1, 2)).astype(int)
    assert shown.shape == upright.shape
    found = inspect_video(result.path)
    assert found.orientation.upright and found.height == upright.shape[1]
    marked = (abs(upright[6] - (240, 20, 240)) < 60).all(-1)
    assert (shown[6][marked] > 200).all(-1).mean() > 0.6


def test_pixels_that_are_not_square_are_respected(tmp_path, white, restored):
    """The marker is square as displayed, so the crop must be twice as high as wide in samples."""

    def squeeze(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    def frame(index):
        picture = Clip(width=160, centre=lambda _: (80, 48)).picture(index)
        return picture[:, ::2]

    clip = Clip(width=80, paint=frame, change=squeeze, options={"crf": "5"})
    source = clip.write(tmp_path / "clip.mkv")
    result = restored(source, white, VideoSettings(quality=5))
    before, after = pictures(source).astype(int), pictures(result.path).astype(int)
    changed = abs(before - after)[5].max(-1) > 12
    rows, columns = changed.nonzero()
    face = 176 / 206  # width to height of what is pasted
    assert 2 * np.ptp(columns) == pytest.approx(face * np.ptp(rows), rel=0.15)


def test_lost_pixel_shapes_are_said(tmp_path):
    def squeeze(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    information = inspect_video(Clip(change=squeeze).write(tmp_path / "clip.mkv"))
    assert choose_encoding(information, "result.mkv").lost == ()
    assert "square" in choose_encoding(information, "result.mkv", codec="vp9").lost[0]
