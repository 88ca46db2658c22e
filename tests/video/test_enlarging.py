"""Frames that grow in their own samples, and faces that grow with them."""

import numpy as np
import pytest
import torch

from codeformer_core.errors import VideoError
from codeformer_core.faces.warp import Rectangle
from codeformer_core.images import resize
from codeformer_core.pipeline.upscaling import Upscaler
from codeformer_core.runtime import Runtime
from codeformer_core.video.enlarging import Enlarger
from codeformer_core.video.planes import HIGH_DEFINITION, Planes
from codeformer_core.video.reading import inspect_video
from codeformer_core.video.restore import VideoSettings, restore_video
from tests.video.clips import Clip, packets, pictures, timing
from tests.video.test_planes import FORMATS, planes_of

SILENT = Runtime()


def seen(planes: Planes) -> torch.Tensor:
    return planes.view(Rectangle(0, 0, planes.width, planes.height))


def slopes_of(name: str) -> Planes:
    """Values that rise from left to right and from top to bottom."""
    planes = planes_of(name, height=40, width=56)
    for place, plane in enumerate(planes.samples):
        rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]]
        slope = 0.4 + 0.2 * (columns if place % 2 else rows) / max(plane.shape)
        plane[:] = slope * (1 << planes.layout.format.bits)
    return planes


@pytest.mark.parametrize("name", FORMATS)
def test_samples_grow_in_every_format(name: str) -> None:
    planes = slopes_of(name)
    larger = Enlarger(60, 84).frame(planes, SILENT)
    assert seen(larger).shape == (60, 84, 3)
    assert (seen(larger) - resize(seen(planes)[None], 60, 84)[0]).abs().max() < 0.03
    opacity = [resize(torch.tensor(plane)[None, ..., None].float(), 60, 84)[0, ..., 0]
               for plane in planes.samples[3:]]  # fmt: skip
    for plane, expected in zip(larger.samples[3:], opacity, strict=True):
        assert (torch.tensor(plane) - expected).abs().max() <= 0.5


@pytest.mark.parametrize("name", FORMATS)
def test_what_an_upscaler_draws_is_seen(name: str) -> None:
    planes = slopes_of(name)

    def draw(images: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        assert images.shape == (1, 40, 56, 3)
        return resize(images, 160, 224) * 0.9 + 0.05

    larger = Enlarger(150, 210, draw).frame(planes, SILENT)
    expected = resize(seen(planes)[None], 150, 210)[0] * 0.9 + 0.05
    assert (seen(larger) - expected).abs().max() < 0.03


@pytest.mark.parametrize("upscaler", [None, lambda images, runtime: resize(images, 80, 112)])
@pytest.mark.parametrize("name", ["yuva444p", "gbrap10le"])
def test_what_opacity_hides_does_not_show(name: str, upscaler: Upscaler | None) -> None:
    planes = planes_of(name, height=40, width=56)
    *colours, opacity = planes.samples
    for plane in colours:
        plane[:] = 0.6 * (1 << planes.layout.format.bits)
        plane[:, :28] = 0
    opacity[:] = (1 << planes.layout.format.bits) - 1
    opacity[:, :28] = 2  # as a conversion leaves it
    larger = Enlarger(80, 112, upscaler).frame(planes, SILENT)
    shown = torch.tensor(larger.samples[3] > 0.02 * opacity.max())
    assert not shown[:, :50].any() and shown[:, 60:].all()
    assert (seen(larger)[shown] - seen(planes)[20, 40]).abs().max() < 0.02


def test_what_has_its_size_stays_the_very_frame() -> None:
    planes = planes_of("yuv420p")
    assert Enlarger(41, 53, lambda *_: 1 / 0).frame(planes, SILENT) is planes  # type: ignore[arg-type,return-value]


def test_a_face_grows_that_is_painted_larger_than_it_is() -> None:
    def double(images: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        return images.repeat_interleave(2, 1).repeat_interleave(2, 2)

    crop = torch.rand(8, 8, 3)
    enlarger = Enlarger(96, 128, None, double)
    assert enlarger.face(crop, 9.0, SILENT) is crop
    assert enlarger.face(crop, 20.0, SILENT).shape == (16, 16, 3)


def test_a_video_grows_with_its_faces_sound_and_times(tmp_path, white, detector) -> None:
    source = Clip(audio=True).write(tmp_path / "clip.mp4")
    results = [
        restore_video(
            source,
            tmp_path / f"{upscale}.mp4",
            white,
            detector,
            VideoSettings(upscale=upscale, quality=5),
        )
        for upscale in (1, 1.3)
    ]
    usual, shown = (pictures(result.path) for result in results)
    assert shown.shape == (12, 124, 166, 3), "whole chroma samples"
    for index in (0, 11):
        was, grown = ((frames[index] > 240).all(-1).nonzero() for frames in (usual, shown))
        for before, after in zip(was, grown, strict=True):
            assert after.mean() == pytest.approx(1.3 * before.mean(), abs=1)
            assert np.ptp(after) == pytest.approx(1.3 * np.ptp(before), abs=2)
    result = results[1]
    assert timing(result.path) == timing(source)
    assert packets(result.path, "audio") == packets(source, "audio")


def test_what_a_codec_cannot_hold_is_said_before_the_work_begins(tmp_path, same) -> None:
    source = Clip(16, 4200, 1, centre=lambda index: None).write(tmp_path / "clip.mp4")
    detector = None  # would fail
    with pytest.raises(VideoError, match="h264 cannot hold frames of 16800 x 64 pixels: choose"):
        restore_video(source, tmp_path / "result.mp4", same, detector, VideoSettings(upscale=4))


def test_a_video_without_a_face_grows_too(tmp_path, white, detector) -> None:
    source = Clip(count=2, centre=lambda index: None).write(tmp_path / "clip.mp4")
    settings = VideoSettings(upscale=2)
    result = restore_video(source, tmp_path / "result.mp4", white, detector, settings)
    assert pictures(result.path).shape == (2, 192, 256, 3)


def test_colours_that_nobody_named_are_named_where_players_would_guess_others(
    tmp_path, same, detector
) -> None:
    rows = HIGH_DEFINITION // 2 + 8
    source = Clip(rows, 64, 2, centre=lambda index: None).write(tmp_path / "clip.mp4")
    settings = VideoSettings(upscale=2)
    result = restore_video(source, tmp_path / "result.mp4", same, detector, settings)
    assert inspect_video(source).colour.matrix == 2
    found = inspect_video(result.path)
    assert found.height > HIGH_DEFINITION and found.colour.matrix == 6
