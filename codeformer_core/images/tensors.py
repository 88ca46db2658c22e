"""Between pictures (H, W, 3) in 0..1 and what networks and files want."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import PictureError

Pixels = Tensor | NDArray[Any]
"""A picture or a batch as callers have it: torch or numpy, whole numbers or floats."""


def as_images(image: Pixels) -> Tensor:
    """Bring a picture or a batch of any common kind to (B, H, W, C) float32, C = 3 or 4.

    Whole numbers are divided by the largest value of their type; floats are taken as they are.
    Gray pictures get three equal channels. The result may share memory with the input.

    Args:
        image: (H, W), (H, W, C) or (B, H, W, C) with C = 1, 3 or 4.

    Raises:
        PictureError: any other shape or kind of numbers, or an empty picture.
    """
    if isinstance(image, np.ndarray):
        # Torch takes neither negative strides nor, without a warning, read-only memory.
        image = torch.from_numpy(np.require(image, requirements=["C", "W"]))
    shape = tuple(image.shape)
    images = _as_unit_floats(image)
    if images.ndim == 2:
        images = images[..., None]
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4) or 0 in images.shape[1:]:
        raise PictureError(
            f"expected a picture of shape (H, W, 3) or a batch of (B, H, W, 3), got {shape}; "
            "channels come last"
        )
    return images.expand(-1, -1, -1, 3) if images.shape[3] == 1 else images


def _as_unit_floats(images: Tensor) -> Tensor:
    if images.is_floating_point():
        return images.float()
    if images.dtype == torch.bool:
        return images.float()
    if images.dtype in (torch.uint8, torch.uint16):
        top = 255 if images.dtype == torch.uint8 else 65535
        return images.float() / top
    raise PictureError(
        f"pixels of {images.dtype} have no known range: give uint8, uint16 or floats"
    )


def to_network(images: Tensor) -> Tensor:
    """(N, H, W, 3) in 0..1 -> (N, 3, H, W) in -1..1."""
    return images.movedim(-1, 1) * 2 - 1


def from_network(crops: Tensor) -> Tensor:
    """(N, 3, H, W) in -1..1 -> (N, H, W, 3) float32 in 0..1, clamped; NaN stays NaN."""
    return (crops.float() * 0.5 + 0.5).clamp(0, 1).movedim(1, -1)


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """(..., 3) floats in 0..1 -> numpy uint8, rounded and clamped, NaN as 0."""
    values = torch.nan_to_num(image.detach().float().cpu(), nan=0.0).clamp(0, 1)
    return (values * 255).round().to(torch.uint8).numpy()


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (B, H, W, C) pictures, bicubic, antialiased where they shrink, no overshoot.

    A picture that has the size already is returned as it is.
    """
    if images.shape[1:3] == (height, width):
        return images
    low = images.amin((1, 2), keepdim=True)
    high = images.amax((1, 2), keepdim=True)
    return interpolate(images, height, width).clamp(low, high)


def interpolate(images: Tensor, height: int, width: int) -> Tensor:
    """The same with its overshoot, so that sums and products of pictures stay such."""
    planes = images.movedim(-1, 1)
    resized = functional.interpolate(
        planes, (height, width), mode="bicubic", align_corners=False, antialias=True
    )
    return resized.movedim(1, -1)
