"""Resizing as matrices, so that every picture of a batch can have a factor of its own.

The matrices reproduce OpenCV's INTER_AREA and INTER_CUBIC.
"""

import torch
from torch import Tensor

CUBIC = -0.75
"""The free parameter of cubic convolution (Keys 1981) that OpenCV uses."""


def area_matrix(length: int, shrunk: int, canvas: int) -> Tensor:
    """Shrink by averaging over areas: (canvas, length), each row of sum 1.

    Rows from `shrunk` on repeat the last one.
    """
    factor = length / shrunk
    starts = torch.arange(shrunk, dtype=torch.float64).clamp(max=shrunk - 1).unsqueeze(1) * factor
    pixels = torch.arange(length, dtype=torch.float64)
    ends = torch.minimum(starts + factor, pixels + 1)
    overlap = (ends - torch.maximum(starts, pixels)).clamp(min=0) / factor
    rows = torch.arange(canvas).clamp(max=shrunk - 1)
    return overlap[rows].float()


def cubic_matrix(length: int, shrunk: int, canvas: int) -> Tensor:
    """Enlarge `shrunk` values by cubic convolution, edges repeated: (length, canvas)."""
    centres = (torch.arange(length, dtype=torch.float64) + 0.5) * (shrunk / length) - 0.5
    first = centres.floor()
    matrix = torch.zeros(length, canvas, dtype=torch.float64)
    for offset in (-1, 0, 1, 2):
        weights = _cubic((centres - first - offset).abs())
        columns = (first + offset).clamp(0, shrunk - 1).long().unsqueeze(1)
        matrix.scatter_add_(1, columns, weights.unsqueeze(1))
    return matrix.float()


def _cubic(distance: Tensor) -> Tensor:
    """Weight of a value at a distance of 0 to 2."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance.square() + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, far)


def resize_with(planes: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Resize by one matrix a picture: (B, C, H, W), (B, h, H), (B, w, W) -> (B, C, h, w)."""
    return down.unsqueeze(1) @ planes @ across.transpose(1, 2).unsqueeze(1)
