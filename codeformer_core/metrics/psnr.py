"""Peak signal-to-noise ratio."""

import torch
from torch import Tensor

from .pairs import as_pair


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures in 0..1: ``-10 log10(mean squared error)``.

    Args:
        first: (H, W, C) or (B, H, W, C).
        second: the same shape.

    Returns:
        (B,) float64 decibels, higher is closer; infinite for equal pictures.

    Raises:
        SettingError: shapes that differ or are no pictures.
    """
    first, second = as_pair(first, second)
    error = (first - second).square().flatten(1).mean(1)
    return -10 * torch.log10(error)
