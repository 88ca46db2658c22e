"""Colour changes: cast, brightness, contrast, saturation, hue and the loss of colour."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .parameters import Degradation

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as JPEG)."""


def change_colour(images: Tensor, degradations: Sequence[Degradation]) -> Tensor:
    """Apply the colour parameters of one degradation a picture.

    Args:
        images: (B, H, W, 3) RGB in 0..1.
        degradations: B of them.

    Returns:
        The same shape in 0..1; pictures whose degradation changes no colour are left alone.
    """
    chosen = [index for index, each in enumerate(degradations) if each.changes_colour]
    if not chosen:
        return images
    changed = _change([degradations[index] for index in chosen], images[chosen])
    images = images.clone()
    images[chosen] = changed
    return images


def _change(degradations: Sequence[Degradation], images: Tensor) -> Tensor:
    def column(values: Sequence[float]) -> Tensor:
        return images.new_tensor(values).view(-1, 1, 1, 1)

    shifts = images.new_tensor([each.colour_shift for each in degradations])[:, None, None] / 255
    images = (images + shifts) * column([each.brightness for each in degradations])
    mean = luminance(images).mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * column([each.contrast for each in degradations])
    gray = luminance(images)
    images = gray + (images - gray) * column([each.saturation for each in degradations])
    turns = torch.stack([hue_rotation(each.hue) for each in degradations]).to(images)
    images = torch.einsum("bhwc,bdc->bhwd", images, turns).clamp(0, 1)
    gray_wanted = column([float(each.gray) for each in degradations]) > 0
    return torch.where(gray_wanted, luminance(images), images)


def luminance(images: Tensor) -> Tensor:
    """(..., 3) RGB to (..., 1)."""
    return (images * images.new_tensor(LUMINANCE)).sum(-1, keepdim=True)


def hue_rotation(degrees: float) -> Tensor:
    """The (3, 3) rotation of RGB around the gray axis (Rodrigues' formula)."""
    angle = math.radians(degrees)
    along = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return along + math.cos(angle) * (torch.eye(3) - along) + math.sin(angle) * across
