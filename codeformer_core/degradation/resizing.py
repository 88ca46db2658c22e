"""Resizing as matrices, so that every picture of a batch can have a factor of its own.

The matrices reproduce OpenCV's INTER_AREA and INTER_CUBIC.
"""

import torch
from torch import Tensor

CUBIC = -0.75
"""The free parameter of cubic convolution (Keys 1981) that OpenCV uses."""


def area_matrices(length: int, shrunk: Tensor, canvas: int) -> Tensor:
    """Shrink by averaging over areas: (B, canvas, length), each row of sum 1.

    Args:
        length: of the full side.
        shrunk: (B,) whole numbers: lengths after shrinking.
        canvas: at least as long as the longest; rows from `shrunk` on repeat the last one.
    """
    shrunk = shrunk.view(-1, 1, 1)
    factor = length / shrunk
    rows = torch.arange(canvas, device=shrunk.device).view(1, -1, 1)
    starts = torch.minimum(rows, shrunk - 1) * factor
    pixels = torch.arange(length, device=shrunk.device)
    ends = torch.minimum(starts + factor, pixels + 1)
    return (ends - torch.maximum(starts, pixels)).clamp(min=0) / factor


def cubic_matrices(length: int, shrunk: Tensor, canvas: int) -> Tensor:
    """Enlarge `shrunk` values by cubic convolution, edges repeated: (B, length, canvas)."""
    shrunk = shrunk.view(-1, 1, 1)
    places = torch.arange(length, device=shrunk.device).view(1, -1, 1)
    centres = (places + 0.5) * (shrunk / length) - 0.5
    first = centres.floor()
    columns = first + torch.arange(-1, 3, device=shrunk.device)
    weights = _cubic((centres - columns).abs())
    columns = torch.minimum(columns.clamp(min=0), shrunk - 1).long()
    return weights.new_zeros(len(shrunk), length, canvas).scatter_add_(2, columns, weights)


def _cubic(distance: Tensor) -> Tensor:
    """Weight of a value at a distance of 0 to 2."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance.square() + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, far)


def resize_with(planes: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Resize by one matrix a picture: (B, C, H, W), (B, h, H), (B, w, W) -> (B, C, h, w)."""
    return down.unsqueeze(1) @ planes @ across.transpose(1, 2).unsqueeze(1)
