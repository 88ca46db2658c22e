"""Clips whose truth is known: portraits on a known path or still, and real clips made worse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from codeformer_core.degradation import Degradation, degrade
from codeformer_core.errors import VideoError
from codeformer_core.faces import TEMPLATE_SIZE, FaceDetector, Placement, affine
from codeformer_core.video.placements import (
    placement_numbers,
    placement_of,
    steady_placements,
)
from codeformer_core.video.reading import inspect_video, read_frames

RATE = 25
FRAME = (288, 352)
"""Rows and columns of the frames that portraits move in."""
FACE_SIDE = 140
"""Pixels of the aligned square of a face, about the size of the built-in model."""

WORSE = Degradation(blur_x=1.3, downsample=2.0, gaussian_noise=8.0, jpeg_quality=60)
"""What happens to every frame by itself, for faces of 128 px."""
CODED = {"crf": "26", "preset": "fast"}
"""What happens to the whole: H.264 as cameras and web sites write it."""

REAL_CLIPS = {
    "frowning": ("WolfgangLanger_Pexels.mp4", 20),
    "hand at the mouth": ("WolfgangLanger_Pexels.mp4", 200),
    "talking, turning": ("demo1.mp4", 0),
    "talking": ("demo3.mp4", 60),
    "hand in front": ("asl_eat.mkv", 0),
    "smiling": ("single_face.mp4", 0),
}
"""File and first frame of clips with expressions and turns; see docs/video.md for their sources."""


@dataclass(frozen=True)
class KnownClip:
    """A clip and its truth."""

    name: str
    truth: Tensor
    """(B, H, W, 3) in 0..1."""
    placements: list[Placement]
    """Where the face truly is."""
    kind: str
    """"moved", "still" or "real"."""

    def write_worse(self, path: Path, seed: int) -> Path:
        """Make every frame worse by itself and encode the whole."""
        factor = self.placements[0].face_size / 128
        change = Degradation(
            blur_x=WORSE.blur_x * factor,
            downsample=max(1.0, WORSE.downsample * factor),
            gaussian_noise=WORSE.gaussian_noise,
            jpeg_quality=WORSE.jpeg_quality,
        )
        worse = degrade(self.truth, change, seed)
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=RATE, options=CODED)
            stream.height, stream.width = self.truth.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for picture in (worse * 255).round().byte().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        return path


def moved_portrait(name: str, picture: Tensor, count: int, seed: int) -> KnownClip:
    """A portrait that drifts, turns and comes nearer: 50 px/s, 6 degrees, 8%."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    waves = [
        np.sin(2 * np.pi * hertz * np.arange(count) / RATE + phase)
        for hertz, phase in zip((0.25, 0.4, 0.3, 0.35), phases, strict=True)
    ]
    x, y = 32 * waves[0], 16 * waves[1]
    angle, zoom = math.radians(6) * waves[2], 1 + 0.08 * waves[3]
    return _portrait(name, picture, "moved", zip(x, y, angle, zoom, strict=True))


def still_portrait(name: str, picture: Tensor, count: int) -> KnownClip:
    """A portrait that does not move at all."""
    return _portrait(name, picture, "still", [(0.0, 0.0, 0.0, 1.0)] * count)


def real_clips(folder: Path, count: int, detector: FaceDetector) -> Iterator[KnownClip]:
    """Those of REAL_CLIPS that a folder holds, with faces of FACE_SIDE pixels."""
    for name, (file, start) in REAL_CLIPS.items():
        if (folder / file).is_file():
            yield _real(name, folder / file, start, count, detector)


def frames_of(path: Path) -> Tensor:
    """All frames of a video, (B, H, W, 3) in 0..1."""
    pictures = [
        frame.picture.to_ndarray(format="rgb24") for frame in read_frames(inspect_video(path))
    ]
    return torch.from_numpy(np.stack(pictures)).float() / 255


def _portrait(name: str, picture: Tensor, kind: str, poses: Iterable[Sequence[float]]) -> KnownClip:
    rows, columns = FRAME
    small = cv2.resize(picture.numpy(), 2 * [round(1.1 * FACE_SIDE)], interpolation=cv2.INTER_AREA)
    frames: list[np.ndarray] = []
    placements: list[Placement] = []
    for x, y, angle, zoom in poses:
        scale = math.log(zoom * FACE_SIDE / TEMPLATE_SIZE)
        placement = placement_of((columns / 2 + x, rows / 2 + y, scale, angle), rows, columns)
        to_frame = affine.compose(
            placement.inverse, affine.scaling(*2 * [TEMPLATE_SIZE / small.shape[0]])
        )
        frame = cv2.warpAffine(
            small,
            np.array(to_frame),
            (columns, rows),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        frames.append(frame.clip(0, 1))
        placements.append(placement)
    return KnownClip(name, torch.from_numpy(np.stack(frames)), placements, kind)


def _real(name: str, path: Path, start: int, count: int, detector: FaceDetector) -> KnownClip:
    frames = _decode(path, start, count)
    found = [faces[0] for faces in detector.detect(frames).frames if faces]
    if len(found) != len(frames):
        raise VideoError(f"{path}: the truth must show a face in every frame")
    shrink = FACE_SIDE / float(np.median([face.placement.face_size for face in found]))
    rows, columns = (2 * round(side * shrink / 2) for side in frames.shape[1:3])
    small = np.stack(
        [cv2.resize(each, (columns, rows), interpolation=cv2.INTER_AREA) for each in frames.numpy()]
    )
    points = np.array([face.landmarks.points for face in found], np.float32)
    points = (points + 0.5) * shrink - 0.5
    times = np.arange(len(frames)) / RATE
    numbers = steady_placements(placement_numbers(points), times, np.ones(len(frames)), 1.0)
    placements = [placement_of(each, rows, columns) for each in numbers]
    return KnownClip(name, torch.from_numpy(small), placements, "real")


def _decode(path: Path, start: int, count: int) -> Tensor:
    frames: list[np.ndarray] = []
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= start:
                frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == count:
                break
    return torch.from_numpy(np.stack(frames)).float() / 255
