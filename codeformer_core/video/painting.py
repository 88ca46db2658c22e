"""Cut a face out of a frame's planes, and paint it back there."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from ..faces import (
    Box,
    Canvas,
    Face,
    Faces,
    PasteOptions,
    Placement,
    affine,
    crop_face,
    landmarks_of,
)
from ..faces.warp import Rectangle, enclosing
from .planes import Planes

MARGIN = 4.0
"""Pixels around a crop, of the coarser of the two grids, that sampling may read."""


def crop_from(planes: Planes, placement: Placement, size: int) -> Tensor:
    """The aligned crop of a face.

    Args:
        planes: the frame.
        placement: where the crop lies in it, or in a resized copy of it.
        size: side of the crop.

    Returns:
        (size, size, 3) float32 RGB in 0..1.
    """
    placement = placement.in_upscaled_picture(planes.height, planes.width).rescaled(size)
    part = _read_part(planes, placement)
    return crop_face(planes.view(part), _within(placement, part))


def paint_face(
    planes: Planes,
    crop: Tensor,
    placement: Placement,
    options: PasteOptions,
    *,
    opacity: float = 1.0,
    mask: Tensor | None = None,
) -> None:
    """Blend a crop into a frame.

    Args:
        planes: the frame, painted on in place.
        crop: (S, S, 3) in 0..1.
        placement: where the crop lies.
        options: how to blend.
        opacity: 0 (nothing happens) to 1.
        mask: (M, M) what to take of the crop; None takes the usual shape of a face.
    """
    if opacity <= 0:
        return
    placement = placement.in_upscaled_picture(planes.height, planes.width)
    part = _read_part(planes, placement)
    if part.width == 0 or part.height == 0:
        return
    options = dataclasses.replace(options, opacity=options.opacity * opacity)
    canvas = Canvas(planes.view(part)[None], options)
    local = _within(placement, part)
    face = Face(Box(0.0, 0.0, 1.0, 1.0), 1.0, landmarks_of(local), local)
    faces = Faces(((face,),), part.height, part.width)
    canvas.paste(crop[None], faces, None if mask is None else mask[None])
    planes.paint(part, canvas.frames[0])


def _read_part(planes: Planes, placement: Placement) -> Rectangle:
    """The part of the frame that a crop covers, and what sampling reads around it."""
    margin = MARGIN * max(1.0, 1.0 / placement.scale)
    whole = enclosing(placement.corners(), margin)
    return planes.whole_chroma(whole.clipped(planes.height, planes.width))


def _within(placement: Placement, part: Rectangle) -> Placement:
    """The same crop in a part of the picture."""
    matrix = affine.compose(placement.matrix, affine.translation(part.left, part.top))
    return dataclasses.replace(
        placement, matrix=matrix, picture_height=part.height, picture_width=part.width
    )
