"""The degradation model for a whole batch on any device: a handful of operations on tensors.

How many there are depends on the limits of the degradations, never on the number of pictures, and
none waits for the device.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .brush import stroke_masks
from .colour import change_colours
from .drawing import Degradations, Limits
from .jpeg import UNIT, compress_batch
from .randomness import BatchRandom
from .resizing import area_matrices, cubic_matrices, resize_with

SIDE_UNIT = 32
"""Fourier transforms are fast at multiples of it."""
DEVIATIONS = 3
"""So many deviations away a Gaussian has no weight worth counting."""


def degrade_batch(
    planes: Tensor, degradations: Degradations, limits: Limits, random: BatchRandom
) -> Tensor:
    """Degrade a batch where it is, one degradation a picture.

    Does what `degrade` does, to rounding but for the borders of blur and compression; its random
    numbers are others.

    Args:
        planes: (B, 3, S, S) RGB in 0..1.
        degradations: B of them, on the same device.
        limits: that they keep.
        random: for noise and strokes.

    Returns:
        (B, 3, S, S) float32 in 0..1.
    """
    if limits.blur or limits.motion:
        planes = blur_batch(planes, degradations, limits)
    planes = _through_small_picture(planes, degradations, limits, random).clamp(0, 1)
    if limits.colour:
        planes = change_colours(planes.movedim(1, -1), degradations.colours).movedim(-1, 1)
    if limits.strokes:
        planes = torch.maximum(planes, stroke_masks(planes, degradations, limits.strokes, random))
    return planes


def blur_batch(planes: Tensor, degradations: Degradations, limits: Limits) -> Tensor:
    """Blur each picture with its own Gaussian and motion, as products of its Fourier transform.

    Both transforms are known: a Gaussian's is a Gaussian, a line's is a sinc. So no kernel is made,
    and the time does not grow with the blur.
    """
    size = planes.shape[-1]
    reach = math.ceil(DEVIATIONS * limits.blur + limits.motion / 2)
    around = min(reach, size - 1)
    side = -(-(size + 2 * around) // SIDE_UNIT) * SIDE_UNIT
    padded = F.pad(planes, (around,) * 4, mode="reflect")
    transfer = _transfer(degradations, side)
    spectrum = torch.fft.rfft2(padded, s=(side, side)) * transfer[:, None]
    inside = slice(around, around + size)
    return torch.fft.irfft2(spectrum, s=(side, side))[:, :, inside, inside]


def _transfer(degradations: Degradations, side: int) -> Tensor:
    """What the blurs leave of each wave: (B, side, side / 2 + 1)."""
    device = degradations.blur_x.device
    down = torch.fft.fftfreq(side, device=device)[:, None]
    across = torch.fft.rfftfreq(side, device=device)
    x, y, angle, length = (
        each.view(-1, 1, 1)
        for each in (
            degradations.blur_x,
            degradations.blur_y,
            torch.deg2rad(degradations.blur_angle),
            degradations.motion,
        )
    )
    first = across * angle.cos() + down * angle.sin()
    second = down * angle.cos() - across * angle.sin()
    gaussian = torch.exp(-2 * math.pi**2 * ((x * first).square() + (y * second).square()))
    return gaussian * torch.sinc(length * first)


def _through_small_picture(
    planes: Tensor, degradations: Degradations, limits: Limits, random: BatchRandom
) -> Tensor:
    """Down, noise, JPEG, up: each picture at its own size in the corner of a common canvas."""
    size = planes.shape[-1]
    canvas = -(-math.ceil(size / limits.downsample) // UNIT) * UNIT
    shrunk = (size / degradations.downsample).round().clamp(min=1)
    down = area_matrices(size, shrunk, canvas)
    small = _noisy(resize_with(planes, down, down), degradations, limits, random)
    if limits.compression:
        quality = degradations.jpeg_quality
        compressed = compress_batch(small, quality.clamp(min=1))
        small = torch.where(quality.view(-1, 1, 1, 1) > 0, compressed, small)
    up = cubic_matrices(size, shrunk, canvas)
    return resize_with(small, up, up)


def _noisy(
    planes: Tensor, degradations: Degradations, limits: Limits, random: BatchRandom
) -> Tensor:
    """Sensor noise, then Gaussian noise."""
    if limits.sensor_noise:
        strength = degradations.sensor_noise.view(-1, 1, 1, 1) / 255
        noise = random.normal(*planes.shape[1:])
        # The root of a Poisson number is nearly normal, with a deviation of 1/2 whatever its mean
        # (Anscombe 1948). In units of a photon: (sqrt(n) + z / 2)^2.
        planes = (planes.clamp(0, 1).sqrt() + noise * strength / 2).square()
        planes = planes - strength.square() / 4
    if limits.gaussian_noise:
        deviation = degradations.gaussian_noise.view(-1, 1, 1, 1) / 255
        planes = torch.addcmul(planes, random.normal(*planes.shape[1:]), deviation)
    return planes.clamp(0, 1)
