"""Sample a picture through an affine map, touching only the pixels the result needs.

Everything is done in float32 on the picture's own device, with the coordinates of each result
pixel computed relative to the small region it reads from, so that precision does not suffer from
the size of the picture.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor

from . import affine
from .affine import Affine, Point

Resampling = Literal["bilinear", "bicubic"]

SHARPEST_SHRINK = 1.05
"""Shrinking by less than this needs no averaging: what aliases then cannot be seen."""

LARGEST_STRIDE = 4
"""Samples a side that are averaged into one result pixel before the picture is shrunk first."""


class Rectangle(NamedTuple):
    """A block of whole pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns, 0 if the block is empty."""
        return max(0, self.right - self.left)

    @property
    def height(self) -> int:
        """Rows, 0 if the block is empty."""
        return max(0, self.bottom - self.top)

    def clipped(self, height: int, width: int) -> Rectangle:
        """Return the part inside a picture."""
        return Rectangle(
            min(max(self.left, 0), width),
            min(max(self.top, 0), height),
            min(max(self.right, 0), width),
            min(max(self.bottom, 0), height),
        )


def enclosing(points: tuple[Point, ...], margin: float = 0.0) -> Rectangle:
    """Return the smallest block of pixels whose centres' hull holds all points, plus a margin."""
    columns = [x for x, _ in points]
    rows = [y for _, y in points]
    return Rectangle(
        math.floor(min(columns) - margin),
        math.floor(min(rows) - margin),
        math.ceil(max(columns) + margin) + 1,
        math.ceil(max(rows) + margin) + 1,
    )


def warp(
    picture: Tensor,
    result_to_picture: Affine,
    height: int,
    width: int,
    *,
    border: Tensor | None = None,
    resampling: Resampling = "bilinear",
) -> Tensor:
    """Return the picture seen through an affine map, without aliasing.

    Where the map shrinks the picture, each result pixel is the mean over its own area.

    Args:
        picture: (H, W, C) of any float type; NaN counts as 0.5, infinities as 1 and 0.
        result_to_picture: 2x3 map from result pixels to picture pixels.
        height: rows of the result.
        width: columns of the result.
        border: (C,) colour of everything outside the picture; None repeats its edge pixels.
        resampling: how values between pixels are found where nothing is averaged.

    Returns:
        (height, width, C) float32 on the picture's device.
    """
    region, to_region = _read_region(picture, result_to_picture, height, width)
    planes = region.movedim(-1, 0).unsqueeze(0).float()  # (h, w, C) -> (1, C, h, w)
    planes = planes.nan_to_num(nan=0.5, posinf=1.0, neginf=0.0)
    colour = None if border is None else border.to(planes).view(1, -1, 1, 1)
    if colour is not None:
        # Outside the picture grid_sample reads zeros, so the border colour becomes the zero.
        planes = planes - colour
    planes, to_region = _shrunk(planes, to_region, repeat_edge=colour is None)
    sampled = _mean_of_samples(planes, to_region, (height, width), colour is None, resampling)
    if colour is not None:
        sampled = sampled + colour
    return sampled[0].movedim(0, -1)


def _read_region(
    picture: Tensor, result_to_picture: Affine, height: int, width: int
) -> tuple[Tensor, Affine]:
    """Cut out the part of the picture that the result reads, and the map into that part."""
    rows, columns = picture.shape[:2]
    corners = _corners(height, width)
    # Two shrunk pixels of reach: bicubic reads that far around each sample.
    margin = 3.0 * max(1.0, affine.mean_scale(result_to_picture))
    wanted = enclosing(affine.apply_all(result_to_picture, corners), margin)
    # At least one row and column stay: of a result outside the picture the nearest edge pixels.
    left, top = min(max(wanted.left, 0), columns - 1), min(max(wanted.top, 0), rows - 1)
    region = picture[top : max(wanted.bottom, top + 1), left : max(wanted.right, left + 1)]
    shift = affine.translation(-left, -top)
    return region, affine.compose(shift, result_to_picture)


def _corners(height: int, width: int) -> tuple[Point, ...]:
    right, bottom = width - 0.5, height - 0.5
    return ((-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom))


def _shrunk(planes: Tensor, to_planes: Affine, repeat_edge: bool) -> tuple[Tensor, Affine]:
    """Average whole blocks first where the result is very much smaller than the picture."""
    factor = int(affine.mean_scale(to_planes) / (0.5 * LARGEST_STRIDE))
    if factor < 2:
        return planes, to_planes
    height, width = planes.shape[-2:]
    padding = (0, -width % factor, 0, -height % factor)
    if repeat_edge:
        planes = functional.pad(planes, padding, mode="replicate")
    else:
        planes = functional.pad(planes, padding)
    smaller = functional.avg_pool2d(planes, factor)
    return smaller, affine.compose(affine.scaling(1.0 / factor, 1.0 / factor), to_planes)


def _mean_of_samples(
    planes: Tensor,
    to_planes: Affine,
    size: tuple[int, int],
    repeat_edge: bool,
    resampling: Resampling,
) -> Tensor:
    """Average a small grid of samples inside every result pixel."""
    scale = affine.mean_scale(to_planes)
    side = 1 if scale <= SHARPEST_SHRINK else math.ceil(scale)
    total: Tensor | None = None
    for row in range(side):
        for column in range(side):
            within = affine.translation((column + 0.5) / side - 0.5, (row + 0.5) / side - 0.5)
            grid = _sampling_grid(planes, affine.compose(to_planes, within), *size)
            sample = functional.grid_sample(
                planes,
                grid,
                mode=resampling if side == 1 else "bilinear",
                padding_mode="border" if repeat_edge else "zeros",
                align_corners=False,
            )
            total = sample if total is None else total.add_(sample)
    assert total is not None
    return total if side == 1 else total.div_(side * side)


def _sampling_grid(planes: Tensor, to_planes: Affine, height: int, width: int) -> Tensor:
    """Return the (1, height, width, 2) coordinates for grid_sample, -1..1 over the planes' area.

    The normalisation is folded into the map in double precision: on the device each coordinate is
    then two products and a sum, which also keeps TF32 matrix products out of the geometry.
    """
    rows, columns = planes.shape[-2:]
    # Counting result pixels from the middle halves the rounding error at the far corner.
    centre = affine.translation(0.5 * (width - 1), 0.5 * (height - 1))
    unit: Affine = (
        (2.0 / columns, 0.0, 1.0 / columns - 1.0),
        (0.0, 2.0 / rows, 1.0 / rows - 1.0),
    )
    (a, b, c), (d, e, f) = affine.compose(unit, affine.compose(to_planes, centre))
    x = torch.arange(width, device=planes.device, dtype=torch.float32) - 0.5 * (width - 1)
    y = torch.arange(height, device=planes.device, dtype=torch.float32) - 0.5 * (height - 1)
    x, y = x.view(1, -1), y.view(-1, 1)
    return torch.stack((a * x + (b * y + c), d * x + (e * y + f)), dim=-1).unsqueeze(0)
