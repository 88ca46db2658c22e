"""Enlarge frames in the samples they are encoded in, and the faces that are painted on them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..faces.warp import Rectangle
from ..images import resize, resize_visible, without_hidden
from ..pipeline.notes import LARGEST_FACE
from ..pipeline.upscaling import Upscaler
from ..runtime import Runtime
from .information import PixelFormat, VideoInformation
from .planes import Planes, Samples

LEAST_OPACITY = 0.02
"""Lossy codecs and conversions leave so much where there was none."""
BAND = 128
"""Rows of a frame that are painted at once, for the room it takes; even, for chroma."""


@dataclass(frozen=True)
class Enlarger:
    """What the frames of a result are brought to their size with."""

    height: int
    """Of the result's frames."""
    width: int
    """Of the result's frames."""
    upscaler: Upscaler | None = None
    """Draws them by a factor of its own; None interpolates."""
    face_upscaler: Upscaler | None = None
    """Draws restored faces that are painted larger than they are."""

    def frame(self, planes: Planes, runtime: Runtime) -> Planes:
        """A frame at the result's size; the very one if it has it.

        Chroma and opacity are interpolated as they are; what the upscaler draws goes on top. What
        opacity hides does not show.
        """
        if (planes.height, planes.width) == (self.height, self.width):
            return planes
        larger = _resized(planes, self.height, self.width)
        if self.upscaler is not None:
            drawn = self.upscaler(_smooth_colours(planes), runtime)
            drawn = resize(drawn, self.height, self.width)[0]
            for top in range(0, self.height, BAND):
                rows = drawn[top : top + BAND]
                larger.paint(Rectangle(0, top, self.width, top + len(rows)), rows)
        return larger

    def face(self, crop: Tensor, largest: float, runtime: Runtime) -> Tensor:
        """A restored face, (S, S, 3), or larger if it is ever painted so.

        Args:
            crop: the face.
            largest: side of its aligned square, in pixels of the result, where it is largest: so
                no face turns sharper in the middle of a shot.
            runtime: where the upscaler runs.
        """
        if self.face_upscaler is None or largest <= LARGEST_FACE * len(crop):
            return crop
        return self.face_upscaler(crop[None], runtime)[0]


def result_size(
    information: VideoInformation, upscale: float, target: PixelFormat
) -> tuple[int, int]:
    """Height and width of a result; of one that grows, what whole chroma samples fill.

    Args:
        information: the source.
        upscale: the factor.
        target: the format of the result.
    """
    if upscale == 1:
        return information.height, information.width
    down, across = target.chroma_height, target.chroma_width
    return (
        round(information.height * upscale / down) * down,
        round(information.width * upscale / across) * across,
    )


def _resized(planes: Planes, height: int, width: int) -> Planes:
    """Interpolate every plane to the share of a size that it has of its frame."""
    shape = planes.layout.format
    whole = height, width
    shared = -(-height // shape.chroma_height), -(-width // shape.chroma_width)
    colours = planes.samples[: 1 if shape.gray else 3]
    opacity = _opacity(planes) if shape.alpha else None
    sizes = zip(colours, (whole, shared, shared), strict=False)
    samples = [_interpolated(plane, *size, opacity) for plane, size in sizes]
    samples += [_interpolated(plane, *whole) for plane in planes.samples[len(colours) :]]
    return Planes(samples, planes.layout)


def _interpolated(
    plane: Samples, height: int, width: int, opacity: Tensor | None = None
) -> Samples:
    values = _picture(plane)
    if opacity is None:
        larger = resize(values, height, width)
    else:
        weighted = torch.cat([values, resize(opacity, *plane.shape)], -1)
        larger = resize_visible(weighted, height, width)
    return larger[0, ..., 0].round_().numpy().astype(plane.dtype)


def _opacity(planes: Planes) -> Tensor:
    """(1, H, W, 1) in 0..1."""
    opacity = _picture(planes.samples[-1]) / ((1 << planes.layout.format.bits) - 1)
    return torch.where(opacity < LEAST_OPACITY, 0, opacity)


def _picture(plane: Samples) -> Tensor:
    """(1, H, W, 1) float32."""
    return torch.from_numpy(plane.astype(np.float32))[None, ..., None]


def _smooth_colours(planes: Planes) -> Tensor:
    """The colours of a frame, (1, H, W, 3), without the blocks of pixels that share chroma.

    Visible ones take the place of those near them that opacity hides.
    """
    layout = planes.layout
    unshared = replace(layout, format=replace(layout.format, chroma_width=1, chroma_height=1))
    smooth = _resized(Planes(planes.samples, unshared), planes.height, planes.width)
    colours = smooth.view(Rectangle(0, 0, planes.width, planes.height))[None]
    if not layout.format.alpha:
        return colours
    return without_hidden(torch.cat([colours, _opacity(planes)], -1))
