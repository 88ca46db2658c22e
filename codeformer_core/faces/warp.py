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

SUMS_AT_ONCE = 1 << 16
"""Pixels whose sums are made at a time while averaging blocks: the processor's cache holds them."""

BANDS = 16
"""Parts of a result that are sampled as a batch: on a CPU threads share nothing smaller."""


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
    border: tuple[float, ...] | None = None,
    resampling: Resampling = "bilinear",
) -> Tensor:
    """Return the picture seen through an affine map, without aliasing.

    Where the map shrinks the picture, each result pixel is the mean over its own area.

    Args:
        picture: (H, W, C) of any float type; NaN counts as 0.5, infinities as 1 and 0.
        result_to_picture: 2x3 map from result pixels to picture pixels.
        height: rows of the result.
        width: columns of the result.
        border: C values, the colour of everything outside the picture; None repeats its edge
            pixels.
        resampling: how values between pixels are found where nothing is averaged.

    Returns:
        (height, width, C) float32 on the picture's device, channel by channel in memory.
    """
    pixels, to_pixels = _read_region(picture, result_to_picture, height, width)
    pixels = pixels.float().nan_to_num(nan=0.5, posinf=1.0, neginf=0.0)
    colour = pixels.new_tensor(border) if border and any(border) else None
    if colour is not None:
        # Outside the picture grid_sample reads zeros, so the border colour becomes the zero.
        pixels = pixels - colour
    # Whole blocks are cheap; even ones also cancel the finest stripes exactly.
    factor = max(1, int(affine.mean_scale(to_pixels) / 2.0) * 2)
    if factor > 1:
        pixels = block_means(_in_whole_blocks(pixels, factor, border is None), factor)
        shrink = affine.scaling(1.0 / factor, 1.0 / factor)
        to_pixels = affine.compose(shrink, to_pixels)
    size = (height, width)
    result = _mean_of_samples(pixels, to_pixels, size, border is None, resampling)
    return result if colour is None else result + colour


def _read_region(
    picture: Tensor, result_to_picture: Affine, height: int, width: int
) -> tuple[Tensor, Affine]:
    """Cut out the part of the picture that the result reads, and the map into that part."""
    rows, columns = picture.shape[:2]
    # Two shrunk pixels of reach: bicubic reads that far around each sample.
    margin = 3.0 * max(1.0, affine.mean_scale(result_to_picture))
    wanted = enclosing(affine.apply_all(result_to_picture, _corners(height, width)), margin)
    # At least one row and column stay: of a result outside the picture the nearest edge pixels.
    left, top = min(max(wanted.left, 0), columns - 1), min(max(wanted.top, 0), rows - 1)
    region = picture[top : max(wanted.bottom, top + 1), left : max(wanted.right, left + 1)]
    shift = affine.translation(-left, -top)
    return region, affine.compose(shift, result_to_picture)


def _corners(height: int, width: int) -> tuple[Point, ...]:
    right, bottom = width - 0.5, height - 0.5
    return ((-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom))


def _in_whole_blocks(pixels: Tensor, block: int, repeat_edge: bool) -> Tensor:
    """Fill the last blocks up: with the edge, or with zeros."""
    for side in (0, 1):
        last = pixels.narrow(side, -1, 1) * float(repeat_edge)
        missing = [last] * (-pixels.shape[side] % block)
        pixels = torch.cat([pixels, *missing], dim=side) if missing else pixels
    return pixels


def block_means(pixels: Tensor, block: int) -> Tensor:
    """Average whole blocks of pixels in float32, in one pass over the picture.

    Args:
        pixels: (H, W, C) of any float type.
        block: rows and columns of a block.

    Returns:
        (H // block, W // block, C): rows and columns at the far edges that fill no block are left
        out.
    """
    if block == 1:
        return pixels.float()
    rows, columns = pixels.shape[0] // block, pixels.shape[1] // block
    means = pixels.new_empty((rows, columns, pixels.shape[2]), dtype=torch.float32)
    blocks = pixels[: rows * block, : columns * block].unflatten(0, (rows, block))
    rows_at_once = max(1, SUMS_AT_ONCE // (columns * block))
    for part, strip in zip(means.split(rows_at_once), blocks.split(rows_at_once), strict=True):
        # All sums of neighbours, then each block-th: cheaper than adding pixels a block apart.
        part.copy_(_neighbour_sums(strip.sum(1, dtype=torch.float32), block)[:, ::block])
    return means.div_(block * block)


def _neighbour_sums(rows: Tensor, count: int) -> Tensor:
    """Sum every `count` neighbouring columns of (h, w, C) rows; (h, w - count + 1, C)."""
    if count == 1:
        return rows
    half = count // 2
    halves = _neighbour_sums(rows, half)
    sums = halves[:, :-half] + halves[:, half:]
    return sums if count % 2 == 0 else sums[:, :-1] + rows[:, 2 * half :]


def _mean_of_samples(
    pixels: Tensor,
    to_pixels: Affine,
    size: tuple[int, int],
    repeat_edge: bool,
    resampling: Resampling,
) -> Tensor:
    """Average a small grid of samples inside every result pixel; (h, w, C) to `size` and C."""
    # (h, w, C) -> (bands, C, h, w); grid_sample is three times faster on planes of their own
    planes = pixels.movedim(-1, 0).contiguous().expand(BANDS, -1, -1, -1)
    height, width = size
    rows = -(-height // BANDS)
    scale = affine.mean_scale(to_pixels)
    side = 1 if scale <= SHARPEST_SHRINK else math.ceil(scale)
    total: Tensor | None = None
    for row in range(side):
        for column in range(side):
            within = affine.translation((column + 0.5) / side - 0.5, (row + 0.5) / side - 0.5)
            grid = _sampling_grid(planes, affine.compose(to_pixels, within), BANDS * rows, width)
            sample = functional.grid_sample(
                planes,
                grid.view(BANDS, rows, width, 2),
                mode=resampling if side == 1 else "bilinear",
                padding_mode="border" if repeat_edge else "zeros",
                align_corners=False,
            )
            total = sample if total is None else total.add_(sample)
    assert total is not None
    total = total if side == 1 else total.div_(side * side)
    # (bands, C, rows, width) -> (height, width, C), seen through planes: copied row by row
    return total.transpose(0, 1).reshape(-1, BANDS * rows, width)[:, :height].movedim(0, -1)


def _sampling_grid(planes: Tensor, to_planes: Affine, height: int, width: int) -> Tensor:
    """Return the (height, width, 2) coordinates for grid_sample, -1..1 over the planes' area.

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
    grid = torch.empty((height, width, 2), device=planes.device)
    torch.add(a * x, (b * y + c).view(-1, 1), out=grid[..., 0])
    torch.add(d * x, (e * y + f).view(-1, 1), out=grid[..., 1])
    return grid
