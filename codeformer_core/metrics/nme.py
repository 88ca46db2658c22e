"""Normalised mean error: whether the parts of a face are where they were."""

import torch
from torch import Tensor

from ..errors import SettingError

LEFT_EYE, RIGHT_EYE = 0, 1
"""Places of the eyes among the five landmarks of the template."""


def nme(first: Tensor, second: Tensor) -> Tensor:
    """Normalised mean error: mean distance of landmarks, in distances of the first face's eyes.

    Args:
        first: (N, 5, 2) points (x, y) in pixels: eyes, nose, corners of the mouth.
        second: the same shape; a face that was not found is NaN.

    Returns:
        (N,) float64, NaN where either face was not found.

    Raises:
        SettingError: other shapes.
    """
    if first.shape != second.shape or first.ndim != 3 or first.shape[1:] != (5, 2):
        raise SettingError(
            f"landmarks to compare must be (N, 5, 2), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}"
        )
    first, second = first.double(), second.double()
    eyes = (first[:, LEFT_EYE] - first[:, RIGHT_EYE]).norm(dim=1)
    return torch.where(eyes > 0, (first - second).norm(dim=2).mean(1) / eyes, torch.nan)
