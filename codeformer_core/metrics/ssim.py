"""Structural similarity."""

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import SettingError
from .pairs import as_pair

WINDOW = 11
SIGMA = 1.5
STABILISERS = (0.01**2, 0.03**2)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of pictures in 0..1, mean over pixels and channels.

    Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image Quality Assessment: From Error
    Visibility to Structural Similarity", 2004, equation 13: Gaussian window of 11 pixels and
    deviation 1.5, on the pixels whose window lies inside the picture.

    Args:
        first: (H, W, C) or (B, H, W, C), at least 11 pixels high and wide.
        second: the same shape.

    Returns:
        (B,) float64, 1 for equal pictures.

    Raises:
        SettingError: shapes that differ, are no pictures, or are smaller than the window.
    """
    first, second = as_pair(first, second)
    if min(first.shape[1:3]) < WINDOW:
        raise SettingError(f"SSIM needs pictures of at least {WINDOW} x {WINDOW} pixels")
    x, y = (image.movedim(-1, 1) for image in (first, second))  # (B, C, H, W)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x**2
    variance_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = STABILISERS
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).flatten(1).mean(1)


def _blur(planes: Tensor) -> Tensor:
    """Gaussian mean of every full window: (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    offsets = torch.arange(WINDOW, dtype=planes.dtype, device=planes.device) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights = (weights / weights.sum()).view(1, 1, 1, WINDOW)
    batch, channels = planes.shape[:2]
    lines = functional.conv2d(planes.flatten(0, 1)[:, None], weights)
    windows = functional.conv2d(lines, weights.transpose(2, 3))
    return windows.view(batch, channels, *windows.shape[2:])
