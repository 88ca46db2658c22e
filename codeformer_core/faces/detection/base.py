"""What every face detector offers, and the steps all of them share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor

from ...errors import PictureError, SettingError
from ...runtime import Runtime
from .. import affine
from ..affine import Affine, Point
from ..alignment import place
from ..types import TEMPLATE_SIZE, Box, Face, Faces, Landmarks
from ..warp import SHARPEST_SHRINK, block_means

DEFAULT_CONFIDENCE = 0.8
"""The threshold RetinaFace is published with; other detectors scale their scores to it."""

DEFAULT_MIN_SIZE = 16.0
"""Faces whose longer side is under this many picture pixels carry nothing to restore."""

LARGEST_ASPECT = 4
"""A working copy is never longer than this many times the short side asked for."""


class FaceDetector(Protocol):
    """Finds faces in frames."""

    @property
    def name(self) -> str:
        """Short name for messages and menus."""
        ...

    def detect(
        self,
        frames: Tensor,
        *,
        confidence: float = DEFAULT_CONFIDENCE,
        min_size: float = DEFAULT_MIN_SIZE,
        search_size: int | None = None,
        runtime: Runtime | None = None,
    ) -> Faces:
        """Find the faces of every frame.

        Args:
            frames: (B, H, W, 3) float, RGB, 0..1; other values are clipped for the search only.
            confidence: faces scored lower are left out, 0 to 1.
            min_size: faces whose longer side is shorter are left out, in picture pixels.
            search_size: frames are searched at this size of their shorter side, so that the cost
                does not grow with the picture; more pixels find smaller faces and cost in
                proportion. None takes the detector's own default.
            runtime: where the network runs and progress goes, counted in frames.

        Returns:
            The faces, in every frame from left to right.

        Raises:
            OutOfMemoryError: there is no room even for one frame.
            PictureError: not a batch of RGB pictures.
            SettingError: a setting is out of its range.
        """
        ...


class Finding(NamedTuple):
    """One face as a detector sees it, in pixels of the working copy."""

    box: Box
    score: float
    landmarks: Landmarks


class WorkingCopy(NamedTuple):
    """A frame at the size at which it is searched.

    Attributes:
        pixels: (3, h, w) float32, 0..1, finite.
        to_picture: 2x3 map from working pixels to picture pixels.
    """

    pixels: Tensor
    to_picture: Affine


def check_request(frames: Tensor, confidence: float, min_size: float) -> None:
    """Raise if the arguments of ``detect`` cannot be meant.

    Raises:
        PictureError: the frames are not a float batch (B, H, W, 3) with at least one pixel.
        SettingError: confidence outside 0..1 or a negative size.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape[1:3]:
        raise PictureError(
            "faces are searched in a batch of RGB pictures (frames, height, width, 3), "
            f"not in one of shape {tuple(frames.shape)}"
        )
    if not frames.is_floating_point():
        raise PictureError(
            f"pictures must hold float values from 0 to 1, not {frames.dtype}: divide by 255"
        )
    if not 0.0 <= confidence <= 1.0:
        raise SettingError(f"confidence is {confidence}: it must be between 0 and 1")
    if not min_size >= 0.0:
        raise SettingError(f"the minimum face size is {min_size}: it must not be negative")


def working_size(height: int, width: int, search_size: int) -> tuple[int, int]:
    """Return rows and columns of the working copy of a frame.

    Raises:
        SettingError: the search size is not positive.
    """
    if search_size < 1:
        raise SettingError(f"the search size is {search_size}: it must be at least 1 pixel")
    scale = min(search_size / min(height, width), LARGEST_ASPECT * search_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def working_copy(frame: Tensor, size: tuple[int, int]) -> WorkingCopy:
    """Resize a frame to the size at which it is searched.

    Args:
        frame: (H, W, 3) float, RGB.
        size: rows and columns afterwards.
    """
    copy = _resized(frame, size)
    # One sum: much cheaper than a look at every value, and not finite if one is not.
    if not bool(copy.pixels.sum().isfinite()):
        copy = _resized(torch.nan_to_num(frame, nan=0.5, posinf=1.0, neginf=0.0), size)
    return WorkingCopy(copy.pixels.clamp(0.0, 1.0), copy.to_picture)


def _resized(frame: Tensor, size: tuple[int, int]) -> WorkingCopy:
    """Resize without aliasing: bilinear, over the area of each result pixel when shrinking."""
    shrink = (frame.shape[0] / size[0], frame.shape[1] / size[1])
    block = max(1, int(min(shrink)))
    blocks = block_means(frame, block)
    planes = blocks.movedim(-1, 0).unsqueeze(0)  # (h, w, 3) -> (1, 3, h, w)
    resized = functional.interpolate(
        planes,
        size=size,
        mode="bilinear",
        align_corners=False,
        antialias=max(shrink) > SHARPEST_SHRINK * block,
    )
    rows, columns = blocks.shape[:2]
    to_blocks = affine.scaling(columns / size[1], rows / size[0])
    return WorkingCopy(resized[0], affine.compose(affine.scaling(block, block), to_blocks))


def in_picture(finding: Finding, to_picture: Affine) -> Finding:
    """Return a finding of a working copy, which may be turned, in picture pixels."""
    box = finding.box
    corners = affine.apply_all(to_picture, ((box.left, box.top), (box.right, box.bottom)))
    across, down = zip(*corners, strict=True)
    upright = Box(min(across), min(down), max(across), max(down))
    points: tuple[Point, ...] = affine.apply_all(to_picture, finding.landmarks.points)
    return Finding(upright, finding.score, Landmarks(*points))


def faces_of_frame(
    findings: Iterable[Finding], height: int, width: int, min_size: float
) -> tuple[Face, ...]:
    """Turn the findings of one frame, in picture pixels, into faces from left to right.

    A finding without a shape (its landmarks coincide or are not finite) is no face and left out.
    """
    faces: list[Face] = []
    for finding in findings:
        if finding.box.size < min_size:
            continue
        try:
            placement = place(finding.landmarks, TEMPLATE_SIZE, height, width)
        except PictureError:
            continue
        faces.append(Face(finding.box, finding.score, finding.landmarks, placement))
    return left_to_right(faces)


def left_to_right(faces: Iterable[Face]) -> tuple[Face, ...]:
    """Order the faces of a frame as they are numbered for people."""
    return tuple(sorted(faces, key=lambda face: face.box.centre))
