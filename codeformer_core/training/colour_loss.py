"""Whether skin, eyes and lips keep their colours, whatever becomes of the detail."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..images.constants import constant

PATCH_SHARE = 1 / 32
"""Side of the squares whose mean colours are compared, as a share of the picture's: an iris."""
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to CIE XYZ."""
WHITE = ((0.95047,), (1.0,), (1.08883,))
"""D65."""
TO_LAB = ((0.0, 1.16, 0.0), (5.0, -5.0, 0.0), (0.0, 2.0, -2.0))
"""Compressed XYZ to Lab, in hundreds."""
LINEAR_END = (6 / 29) ** 3
"""Below it the cube root of Lab is a straight line."""


def colour_loss(pictures: Tensor, targets: Tensor) -> Tensor:
    """Mean distance of the low-passed colours in CIE Lab, in hundreds.

    Args:
        pictures: (B, 3, S, S) in -1..1.
        targets: the same shape.
    """
    patch = max(1, round(pictures.shape[-1] * PATCH_SHARE))
    ours, theirs = (lab(F.avg_pool2d(each.float(), patch)) for each in (pictures, targets))
    return F.l1_loss(ours, theirs)


def lab(planes: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in -1..1 to CIE Lab in hundreds, L* from 0 to 1."""
    to_xyz, white, to_lab = (constant(each, planes.device) for each in (TO_XYZ, WHITE, TO_LAB))
    values = (planes * 0.5 + 0.5).clamp(min=0)
    linear = torch.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    xyz = torch.einsum("dc,bchw->bdhw", to_xyz, linear) / white[..., None]
    root = xyz.clamp(min=LINEAR_END) ** (1 / 3)
    line = xyz * (841 / 108) + 4 / 29
    compressed = torch.where(xyz > LINEAR_END, root, line)
    lightness = torch.einsum("dc,bchw->bdhw", to_lab, compressed)
    return lightness - constant(((0.16,), (0.0,), (0.0,)), planes.device)[..., None]
