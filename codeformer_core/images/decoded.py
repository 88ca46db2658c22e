"""Pixels of a file on their way to a `Picture`."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PictureError
from .picture import Coding, Picture

Numbers = NDArray[Any]
Floats = NDArray[np.float32]

PROFILE_SPACE = slice(16, 20)
"""Where an ICC profile names the channels that it describes."""


@dataclass
class Decoded:
    """What a decoder found, as the file stores it: not turned upright yet."""

    pixels: Floats
    """(H, W, C) in 0..1, C = 1 gray or 3 RGB."""
    alpha: Floats | None = None
    """(H, W) in 0..1."""
    extra: Floats | None = None
    """(H, W, N): channels without a stated meaning."""
    bits: int = 8
    """8, 16 or 32, as `Picture.bits`."""
    icc_profile: bytes | None = None
    """Profile of the pixels."""
    coding: Coding = field(default_factory=Coding)
    """How the file holds them."""
    notes: list[str] = field(default_factory=list)
    """What could not be taken over, in the user's words."""

    def picture(self, orientation: int) -> Picture:
        """The picture, turned upright.

        Args:
            orientation: of the EXIF block, 1 to 8; others turn nothing.

        Raises:
            PictureError: there are no pixels.
        """
        if not self.pixels.size:
            raise PictureError("the picture has no pixels")
        profile, notes = _fitting_profile(self.icc_profile, self.pixels.shape[2])
        pixels = _as_tensor(self.pixels, orientation)
        return Picture(
            pixels=pixels.expand(-1, -1, 3).contiguous(),
            alpha=None if self.alpha is None else _as_tensor(self.alpha, orientation),
            extra=None if self.extra is None else _as_tensor(self.extra, orientation),
            bits=self.bits,
            gray=self.pixels.shape[2] == 1,
            icc_profile=profile,
            coding=self.coding,
            notes=(*self.notes, *notes),
        )


def of_channels(numbers: Numbers, white: float | None = None) -> Decoded:
    """Channels without extras: gray, gray and opacity, RGB, or RGB and opacity.

    Args:
        numbers: (H, W) or (H, W, C) with C = 1 to 4.
        white: the largest value; of whole numbers their type's if left out, of floats 1.
    """
    numbers = np.atleast_3d(numbers)
    floats = to_unit(numbers, white)
    colours = floats.shape[2] - (floats.shape[2] in (2, 4))
    alpha = floats[..., -1] if colours < floats.shape[2] else None
    return Decoded(floats[..., :colours], alpha, bits=held_bits(numbers.dtype))


def to_unit(numbers: Numbers, white: float | None = None) -> Floats:
    """Numbers of a file to 0..1, floats as they are; rounded once, so that writing gets them back.

    Args:
        numbers: of any shape.
        white: the largest value; of whole numbers their type's if left out, of floats 1.
    """
    if white is None:
        white = 1.0 if numbers.dtype.kind == "f" else float(np.iinfo(numbers.dtype).max)
    precision = np.float32 if numbers.itemsize <= 2 else np.float64
    return np.divide(numbers, white, dtype=precision).astype(np.float32, copy=False)


def held_bits(dtype: np.dtype[Any]) -> int:
    """The bits of a `Picture` that hold numbers of this type."""
    if dtype.kind == "f":
        return 32
    return 8 if dtype.itemsize == 1 else 16


def _fitting_profile(profile: bytes | None, channels: int) -> tuple[bytes | None, tuple[str, ...]]:
    """A profile that describes these channels; of another, why it is not kept."""
    if not profile:
        return None, ()
    if profile[PROFILE_SPACE] == (b"GRAY" if channels == 1 else b"RGB "):
        return profile, ()
    return None, ("its colour profile does not fit its pixels and is not kept",)


def _as_tensor(values: Floats, orientation: int) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(turned(values, orientation)))


def turned(values: Numbers, orientation: int) -> Numbers:
    """Apply an EXIF orientation (1 to 8) to (H, W, ...) values; unknown ones change nothing."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
