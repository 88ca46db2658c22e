"""Ways to restore the faces of a clip: as pictures, as the field does, and ours step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor
from video_clips import RATE, frames_of

from codeformer_core.faces import FaceDetector
from codeformer_core.models.restorer import Restorer
from codeformer_core.pipeline import restore_image
from codeformer_core.runtime import Runtime
from codeformer_core.video.engine import FaceSettings
from codeformer_core.video.frames import SteadyFrames
from codeformer_core.video.job import VideoSettings
from codeformer_core.video.past import Past
from codeformer_core.video.reading import inspect_video
from codeformer_core.video.restore import begin_video
from codeformer_core.video.steady import Steadiness
from codeformer_core.video.survey import Survey, survey_video

Way = Callable[[Path, Restorer, FaceDetector, Path], Tensor | Path]
"""Restores a file into a folder: the result's file, or what is not written, (B, H, W, 3)."""

FIELD_SIGMA = 5.0
"""Frames: deviation of the Gaussian that KEEP and DicFace smooth landmarks by."""
WINDOW = 8
"""Frames of a window."""
ALL = Steadiness.of(0.5)
ALONE = Steadiness(0.0, 0.0, 0.0)


def as_pictures(source: Path, network: Restorer, detector: FaceDetector, _: Path) -> Tensor:
    """Every frame by itself, in memory: what the cost of a video is measured against."""
    return restore_image(frames_of(source), network, detector).image


def in_windows(*, with_past: bool) -> Way:
    """Frames in memory, a few at a time, each window with the past of the one before or without."""

    def restored(source: Path, network: Restorer, detector: FaceDetector, _: Path) -> Tensor:
        past, windows = Past(), []
        for window in frames_of(source).split(WINDOW):
            steady = SteadyFrames(fps=RATE, past=past if with_past else None)
            windows.append(restore_image(window, network, detector, steady=steady).image)
            past = steady.past
        return torch.cat(windows)

    return restored


def as_video(steadiness: Steadiness) -> Way:
    """From file to file."""

    def restored(source: Path, network: Restorer, detector: FaceDetector, folder: Path) -> Path:
        return _restored(source, network, detector, folder, steadiness, None)

    return restored


def as_the_field(source: Path, network: Restorer, detector: FaceDetector, folder: Path) -> Path:
    """Landmarks smoothed over frames, every frame restored by itself."""
    survey = survey_video(inspect_video(source), detector)
    tracks = [
        replace(track, points=gaussian_filter1d(track.points, FIELD_SIGMA, axis=0))
        for track in survey.tracks
    ]
    smoothed = replace(survey, tracks=tuple(tracks))
    return _restored(source, network, detector, folder, ALONE, smoothed)


def _restored(
    source: Path,
    network: Restorer,
    detector: FaceDetector,
    folder: Path,
    steadiness: Steadiness,
    survey: Survey | None,
) -> Path:
    settings = VideoSettings(FaceSettings(steadiness=steadiness), codec="ffv1")
    target = folder / "result.mkv"
    job = begin_video(source, target, network, detector, settings, survey=survey)
    job.restore(job.waiting, Runtime())
    return job.finish().path


PICTURES = "as a batch of pictures"
WAYS: dict[str, Way] = {
    "frame by frame": as_video(ALONE),
    PICTURES: as_pictures,
    "landmarks smoothed, as KEEP does": as_the_field,
    "+ steady placements": as_video(replace(ALONE, placement=ALL.placement)),
    "+ seen through neighbours": as_video(replace(ALL, blended=0.0)),
    "all (stability 0.5)": as_video(ALL),
    f"all, in windows of {WINDOW}": in_windows(with_past=True),
    "the same without their past": in_windows(with_past=False),
    "stability 1": as_video(Steadiness.of(1.0)),
}
