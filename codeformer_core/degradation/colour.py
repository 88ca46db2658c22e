"""Colour changes: cast, brightness, contrast, saturation, hue and the loss of colour."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..images.constants import constant
from .parameters import Degradation

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601, as JPEG)."""
ALONG = ((1 / 3,) * 3,) * 3
"""Projects RGB on the gray axis."""
EVERYTHING = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
ACROSS = tuple(
    tuple(each / math.sqrt(3) for each in row) for row in ((0, -1, 1), (1, 0, -1), (-1, 1, 0))
)
"""A quarter turn of what lies beside the gray axis around it."""


class Colours(NamedTuple):
    """The colour parameters of a batch, as in `Degradation`; (B,) each."""

    shift: Tensor
    """(B, 3)."""
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    gray: Tensor
    """1 where the colours are taken away, else 0."""


def colours_of(degradations: Sequence[Degradation]) -> Colours:
    """The colour parameters of some degradations."""

    def column(name: str) -> Tensor:
        return torch.tensor([getattr(each, name) for each in degradations])

    # In double precision, as an angle is given.
    hues = torch.tensor([each.hue for each in degradations], dtype=torch.float64)
    plain = (column(name) for name in ("colour_shift", "brightness", "contrast", "saturation"))
    return Colours._make((*plain, hues, column("gray").float()))


def change_colours(images: Tensor, colours: Colours) -> Tensor:
    """Apply the colour parameters.

    Args:
        images: (B, H, W, 3) RGB in 0..1.
        colours: B of them.

    Returns:
        The same shape in 0..1.
    """

    def column(values: Tensor) -> Tensor:
        return values.to(images).view(-1, 1, 1, 1)

    images = (images + colours.shift.to(images)[:, None, None] / 255) * column(colours.brightness)
    mean = luminance(images).mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * column(colours.contrast)
    gray = luminance(images)
    images = gray + (images - gray) * column(colours.saturation)
    turns = hue_rotation(colours.hue.to(images.device))
    images = torch.einsum("bhwc,bdc->bhwd", images, turns).clamp(0, 1)
    return torch.where(column(colours.gray) > 0, luminance(images), images)


def luminance(images: Tensor) -> Tensor:
    """(..., 3) RGB to (..., 1)."""
    return (images * constant(LUMINANCE, images.device)).sum(-1, keepdim=True)


def hue_rotation(degrees: Tensor) -> Tensor:
    """(B,) degrees to (B, 3, 3) rotations of RGB around the gray axis (Rodrigues' formula)."""
    angles = torch.deg2rad(degrees).view(-1, 1, 1)
    every, along, across = (constant(each, degrees.device) for each in (EVERYTHING, ALONG, ACROSS))
    return along + angles.cos().float() * (every - along) + angles.sin().float() * across
