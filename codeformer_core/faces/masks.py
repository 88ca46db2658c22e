"""Soft masks in crop space: how much of each crop pixel goes back into the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..errors import SettingError
from .types import TEMPLATE_SIZE

FACE_CENTRE = (257.0, 278.0)
FACE_RADII = (176.0, 206.0)
"""Centre and half axes of the face, from mid-forehead to under the chin and ear to ear, in the
512-pixel template."""

FACE_ROUNDNESS = 2.5
"""Exponent of the superellipse: 2 is an ellipse, more is squarer (a jaw is)."""

DEFAULT_FEATHER = 0.12
"""Width of the soft edge as a share of the crop's side."""


def geometry_mask(
    size: int, feather: float = DEFAULT_FEATHER, device: torch.device | str = "cpu"
) -> Tensor:
    """Return the mask of an aligned face where no parser is at hand.

    Every aligned face has its eyes, nose and mouth at the same place, so one superellipse around
    them serves all: 1 well inside, a smooth edge of the given width, 0 outside and on the rim of
    the crop.

    Args:
        size: side of the crop in pixels.
        feather: width of the soft edge as a share of the side, 0 (hard) to 0.5.
        device: where the mask is made.

    Returns:
        (size, size) float32, 0..1.

    Raises:
        SettingError: the feather is out of range.
    """
    _check_feather(feather)
    unit = size / TEMPLATE_SIZE
    x, y = _offsets(size, FACE_CENTRE[0], device), _offsets(size, FACE_CENTRE[1], device)
    across = (x.view(1, -1).abs() / (FACE_RADII[0] * unit)) ** FACE_ROUNDNESS
    down = (y.view(-1, 1).abs() / (FACE_RADII[1] * unit)) ** FACE_ROUNDNESS
    radius = (across + down) ** (1.0 / FACE_ROUNDNESS)
    # Distance to the edge in pixels: exact on the axes and close to it in between.
    inside = (1.0 - radius) * min(FACE_RADII) * unit
    mask = _soft_step(inside, feather * size)
    return torch.minimum(mask, square_mask(size, feather, device))


def square_mask(
    size: int, feather: float = DEFAULT_FEATHER, device: torch.device | str = "cpu"
) -> Tensor:
    """Return a mask of the whole crop that falls to 0 towards its rim.

    Args:
        size: side of the crop in pixels.
        feather: width of the soft edge as a share of the side, 0 (hard) to 0.5.
        device: where the mask is made.

    Returns:
        (size, size) float32, 0..1.

    Raises:
        SettingError: the feather is out of range.
    """
    _check_feather(feather)
    middle = 0.5 * size
    from_rim = middle - _offsets(size, TEMPLATE_SIZE / 2 - 0.5, device).abs()
    ramp = _soft_step(from_rim - 0.5 * feather * size, feather * size)
    return torch.minimum(ramp.view(1, -1), ramp.view(-1, 1))


def gaussian_blur(planes: Tensor, sigma: float) -> Tensor:
    """Blur (N, H, W) planes by a Gaussian of the given standard deviation in pixels.

    Edge pixels are repeated outwards; a sigma under a tenth of a pixel changes nothing.
    """
    if sigma < 0.1:
        return planes
    reach = int(4.0 * sigma + 0.5)
    offsets = torch.arange(-reach, reach + 1, device=planes.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    blurred = planes.unsqueeze(1)
    for padding, shape in (((reach, reach, 0, 0), (1, -1)), ((0, 0, reach, reach), (-1, 1))):
        padded = functional.pad(blurred, padding, mode="replicate")
        blurred = functional.conv2d(padded, kernel.view(1, 1, *shape))
    return blurred.squeeze(1)


def _check_feather(feather: float) -> None:
    if not 0.0 <= feather <= 0.5:
        raise SettingError(f"feather is {feather}: it must be between 0 (hard edge) and 0.5")


def _offsets(size: int, template_coordinate: float, device: torch.device | str) -> Tensor:
    """Return the signed distance in crop pixels of each row or column from a template line."""
    line = (template_coordinate + 0.5) * size / TEMPLATE_SIZE - 0.5
    return torch.arange(size, device=device, dtype=torch.float32) - line


def _soft_step(distance: Tensor, width: float) -> Tensor:
    """Rise from 0 to 1 over a width around distance 0, flat at both ends."""
    if width <= 0.0:
        return (distance > 0.0).float()
    share = (distance / width + 0.5).clamp(0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
