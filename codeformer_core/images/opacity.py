"""Larger pictures with opacity: what is hidden must not show at the edge of what is not."""

import torch
from torch import Tensor
from torch.nn import functional

from .tensors import interpolate, resize

SMALLEST_OPACITY = 1 / 65535
"""Under it a colour cannot be told from its weighted one; and nobody sees it."""


def resize_visible(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (B, H, W, C + 1) pictures, every colour weighted by its opacity, no overshoot.

    The opacity is last.
    """
    colours, alpha = images[..., :-1], images[..., -1:]
    weight = interpolate(alpha, height, width)
    weighted = interpolate(colours * alpha, height, width) / weight.clamp(SMALLEST_OPACITY)
    low = torch.where(alpha > 0, colours, torch.inf).amin((1, 2), keepdim=True)
    high = torch.where(alpha > 0, colours, -torch.inf).amax((1, 2), keepdim=True)
    hidden = resize(colours, height, width)
    visible = torch.where(weight < SMALLEST_OPACITY, hidden, weighted.clamp(low, high))
    return torch.cat([visible, resize(alpha, height, width)], dim=3)


def without_hidden(images: Tensor) -> Tensor:
    """(B, H, W, 4) pictures -> (B, H, W, 3), hidden colours replaced by visible ones near them."""
    colours, alpha = images.movedim(-1, 1).split([3, 1], dim=1)
    return _filled(colours, alpha).movedim(1, -1)


def _filled(colours: Tensor, alpha: Tensor) -> Tensor:
    """The same of (B, 3, H, W) colours: from ever smaller pictures, where little is hidden."""
    if bool((alpha > 0).all()) or max(alpha.shape[2:]) == 1:
        return colours
    weight = functional.avg_pool2d(alpha, 2, ceil_mode=True)
    mean = functional.avg_pool2d(colours * alpha, 2, ceil_mode=True)
    coarse = _filled(mean / weight.clamp(min=torch.finfo(weight.dtype).tiny), weight)
    near = functional.interpolate(coarse, size=alpha.shape[2:], mode="bilinear")
    return torch.where(alpha > 0, colours, near)
