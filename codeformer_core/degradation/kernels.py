"""Blur kernels: Gaussian, the same or different along two axes, and straight motion."""

import numpy as np

from .parameters import Degradation


def gaussian_kernel(degradation: Degradation) -> np.ndarray:
    """The (iso- or anisotropic) Gaussian as a (k, k) kernel of sum 1, k odd, three deviations."""
    # Under a third of a pixel a sampled Gaussian is one point; the bound keeps it finite.
    deviation_x = max(degradation.blur_x, 1e-2)
    deviation_y = deviation_x if degradation.blur_y is None else max(degradation.blur_y, 1e-2)
    along, across = _rotated_grid(int(np.ceil(3 * max(deviation_x, deviation_y))), degradation)
    kernel = np.exp(-0.5 * ((along / deviation_x) ** 2 + (across / deviation_y) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _rotated_grid(radius: int, degradation: Degradation) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across the blur's first axis, each (2 * radius + 1, same)."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    angle = np.deg2rad(degradation.blur_angle)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """A straight line of `length` pixels at `angle` degrees as a (k, k) kernel of sum 1."""
    radius = int(np.ceil(length / 2))
    steps = np.linspace(-length / 2, length / 2, 8 * radius + 1)
    x = steps * np.cos(np.deg2rad(angle)) + radius
    y = steps * np.sin(np.deg2rad(angle)) + radius
    kernel = np.zeros((2 * radius + 2, 2 * radius + 2))
    # Each point of the line is shared among its four pixels, so that no angle looks jagged.
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            np.add.at(kernel, (top + dy, left + dx), share)
    kernel = kernel[:-1, :-1]
    return (kernel / kernel.sum()).astype(np.float32)


def kernels_of(degradation: Degradation) -> list[np.ndarray]:
    """The kernels to convolve with one after the other; none for a sharp picture."""
    kernels = []
    if degradation.blur_x > 0 or (degradation.blur_y or 0) > 0:
        kernels.append(gaussian_kernel(degradation))
    if degradation.motion > 1:
        kernels.append(motion_kernel(degradation.motion, degradation.blur_angle))
    return kernels
