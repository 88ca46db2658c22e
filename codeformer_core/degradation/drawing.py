"""Degradations of a whole batch as tensors, and drawing them from a mix of ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..images.constants import constant
from .colour import Colours, colours_of
from .parameters import Degradation, DegradationRange
from .randomness import BatchRandom


class Degradations(NamedTuple):
    """One degradation a picture, as in `Degradation`; (B,) each."""

    blur_x: Tensor
    blur_y: Tensor
    motion: Tensor
    downsample: Tensor
    gaussian_noise: Tensor
    sensor_noise: Tensor
    jpeg_quality: Tensor
    """0 leaves the compression out."""
    strokes: Tensor
    stroke_width: Tensor
    stroke_length: Tensor
    blur_angle: Tensor
    colours: Colours

    @classmethod
    def of(cls, degradations: Sequence[Degradation]) -> "Degradations":
        """Given ones, on the CPU."""

        def column(name: str) -> Tensor:
            values = [getattr(each, name) for each in degradations]
            return torch.tensor([float(value or 0) for value in values])

        columns = {name: column(name) for name in cls._fields if name != "colours"}
        round_ones = torch.tensor([each.blur_y is None for each in degradations])
        columns["blur_y"] = torch.where(round_ones, columns["blur_x"], columns["blur_y"])
        return cls(**columns, colours=colours_of(degradations))


@dataclass(frozen=True)
class Limits:
    """How far the degradations of a batch may go.

    Known before any is drawn, so that sizes are the same every step and nothing has to be read
    back from the device.
    """

    blur: float
    """Largest deviation."""
    motion: float
    """Longest motion."""
    downsample: float
    """Smallest factor."""
    gaussian_noise: bool
    sensor_noise: bool
    compression: bool
    colour: bool
    strokes: int
    """Most of them."""

    @classmethod
    def of(cls, ranges: Sequence[DegradationRange]) -> "Limits":
        """The limits of some ranges together."""
        return cls(
            blur=max(each.blur[1] for each in ranges),
            motion=max(each.motion[1] for each in ranges),
            downsample=min(each.downsample[0] for each in ranges),
            gaussian_noise=any(each.gaussian_noise[1] for each in ranges),
            sensor_noise=any(each.sensor_noise[1] for each in ranges),
            compression=any(each.jpeg_quality[1] for each in ranges),
            colour=any(each.colour_probability or each.gray_probability for each in ranges),
            strokes=max(each.strokes[1] for each in ranges),
        )


INTERVALS = (
    *("blur", "blur", "motion", "downsample", "gaussian_noise", "sensor_noise", "jpeg_quality"),
    *("strokes", "stroke_width", "stroke_length"),
)
"""Fields of `DegradationRange` from which the first fields of `Degradations` are drawn."""
COLOUR_INTERVALS = (*("colour_shift",) * 3, "brightness", "contrast", "saturation", "hue")
"""And the colours."""
NEUTRAL = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0)
"""Colours that change nothing."""
PROBABILITIES = ("anisotropic", "colour_probability", "gray_probability")
LARGEST_ANGLE = 180.0


class DegradationMix:
    """Draws degradations for whole batches, each picture's from one of several ranges.

    Args:
        ranges: scaled to the pictures' size.
        shares: how many of the pictures each range gets; their sum is 1.
    """

    def __init__(self, ranges: Sequence[DegradationRange], shares: Sequence[float]) -> None:
        self.limits = Limits.of(ranges)
        self._edges = tuple(np.cumsum(shares)[:-1].tolist())
        names = INTERVALS + COLOUR_INTERVALS
        self._low = tuple(tuple(getattr(each, name)[0] for name in names) for each in ranges)
        self._high = tuple(
            tuple(getattr(each, name)[1] + (name == "strokes") for name in names) for each in ranges
        )
        self._chances = tuple(
            tuple(getattr(each, name) for name in PROBABILITIES) for each in ranges
        )

    def draw(self, random: BatchRandom) -> Degradations:
        """One degradation a place, every parameter uniformly from its interval."""
        device = random.device
        which = (random.uniform(1) >= constant(self._edges, device)).sum(1)
        low, high, chances = (
            constant(each, device)[which] for each in (self._low, self._high, self._chances)
        )
        anisotropic, coloured, gray = (random.uniform(len(PROBABILITIES)) < chances).unbind(1)
        numbers = torch.lerp(low, high, random.uniform(len(INTERVALS + COLOUR_INTERVALS)))
        blur_x, blur_y, *others = numbers[:, : len(INTERVALS)].unbind(1)
        motion, downsample, gaussian, sensor, quality, strokes, width, length = others
        changed = numbers[:, len(INTERVALS) :]
        colours = torch.where(coloured[:, None], changed, constant(NEUTRAL, device))
        return Degradations(
            blur_x,
            torch.where(anisotropic, blur_y, blur_x),
            *(motion, downsample, gaussian, sensor, quality.round()),
            *(strokes.floor(), width, length),
            blur_angle=LARGEST_ANGLE * random.uniform(),
            colours=Colours._make((colours[:, :3], *colours[:, 3:].unbind(1), gray.float())),
        )
