"""Eyes and mouth cut out of aligned faces, so that a loss can look at them again."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .template import EYES, MOUTH, Point

EYE_REACH, MOUTH_REACH = 0.28, 0.36
"""Half a crop's side, where the face's half side is 1."""
CROP_SHARE = 3 / 8
"""Side of the crops as a share of the face's: finer than in the face."""
IRIS_REACH = 0.08
"""Half the side of the square around an eye's middle that holds the iris wherever it looks."""
IRIS_PATCHES = 6
"""Patches along that side: an iris is three of them wide."""
CROPS = ((EYES[0], EYE_REACH), (EYES[1], EYE_REACH), (MOUTH, MOUTH_REACH))


def component_crops(planes: Tensor) -> Tensor:
    """Both eyes and the mouth of each face, at one size: (B, C, S, S) -> (3 B, C, c, c)."""
    size = round(planes.shape[-1] * CROP_SHARE)
    crops = [_cut(planes, centre, reach) for centre, reach in CROPS]
    return torch.cat([F.interpolate(crop, (size, size), mode="bilinear") for crop in crops])


def iris_colours(planes: Tensor) -> Tensor:
    """Mean colours of the patches where the irises are: (B, C, S, S) -> (2 B, C, 6, 6)."""
    crops = (_cut(planes, centre, IRIS_REACH) for centre in EYES)
    return torch.cat([F.adaptive_avg_pool2d(crop, IRIS_PATCHES) for crop in crops])


def _cut(planes: Tensor, centre: Point, reach: float) -> Tensor:
    """The square around a point of the template, in whole pixels."""
    size = planes.shape[-1]
    x, y = (
        slice(round((1 + place - reach) * size / 2), round((1 + place + reach) * size / 2))
        for place in centre
    )
    return planes[:, :, y, x]
