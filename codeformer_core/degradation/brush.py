"""Brush strokes that hide parts of a face, as a user would paint over what is to be filled in."""

import numpy as np
import torch
from torch import Tensor

from .drawing import Degradations
from .parameters import Degradation
from .randomness import BatchRandom

BENDS_PER_STROKE = 8
"""Straight pieces of a stroke."""
LARGEST_TURN = np.pi / 3
"""Between two pieces."""
SUBPIXEL_BITS = 4
"""OpenCV draws between pixels in fixed point with so many bits."""


def stroke_mask(
    height: int, width: int, degradation: Degradation, random: np.random.Generator
) -> np.ndarray:
    """Where the brush has been: (height, width) float32, 1 under a stroke, 0 elsewhere.

    A stroke starts anywhere, in any direction, and wanders.
    """
    import cv2

    mask = np.zeros((height, width), np.uint8)
    thickness = max(1, round(degradation.stroke_width))
    for _ in range(degradation.strokes):
        points = _wander(height, width, degradation.stroke_length, random)
        fixed = np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.polylines(mask, [fixed], False, 1, thickness, cv2.LINE_8, SUBPIXEL_BITS)
    return mask.astype(np.float32)


def _wander(height: int, width: int, length: float, random: np.random.Generator) -> np.ndarray:
    """Corners of one stroke: (BENDS_PER_STROKE + 1, 2) as (x, y)."""
    start = random.uniform((0, 0), (width, height))
    turns = random.uniform(-LARGEST_TURN, LARGEST_TURN, BENDS_PER_STROKE)
    angles = random.uniform(0, 2 * np.pi) + np.cumsum(turns)
    pieces = np.stack([np.cos(angles), np.sin(angles)], axis=1) * length / BENDS_PER_STROKE
    return np.concatenate([start[None], start + np.cumsum(pieces, axis=0)])


def stroke_masks(
    planes: Tensor, degradations: Degradations, most: int, random: BatchRandom
) -> Tensor:
    """Where the brush has been on a batch: (B, 1, S, S) float32, 1 under a stroke, 0 elsewhere.

    By every pixel's distance to every straight piece, so that no picture is drawn by itself.

    Args:
        planes: (B, C, S, S), of which the size and the device are taken.
        degradations: B of them.
        most: strokes of one picture.
        random: where the strokes go.
    """
    size = planes.shape[-1]
    numbers = random.uniform(most, 3 + BENDS_PER_STROKE)
    mask = planes.new_zeros(len(planes), 1, size, size)
    for index in range(most):
        distance = _distance_to_stroke(numbers[:, index], degradations.stroke_length, size)
        reach = degradations.stroke_width.clamp(min=1) / 2 * (degradations.strokes > index)
        mask = torch.maximum(mask, (distance < reach.view(-1, 1, 1, 1)).float())
    return mask


def _distance_to_stroke(numbers: Tensor, length: Tensor, size: int) -> Tensor:
    """Distance of each pixel to one stroke: (B, 1, S, S).

    Args:
        numbers: (B, 3 + BENDS_PER_STROKE) in 0..1: start, direction, turns.
        length: (B,) of the stroke.
        size: S.
    """
    places = torch.arange(size, device=numbers.device)
    angles = 2 * np.pi * numbers[:, 2:3] + ((2 * numbers[:, 3:] - 1) * LARGEST_TURN).cumsum(1)
    piece = (length / BENDS_PER_STROKE).view(-1, 1, 1, 1)
    # (B, pieces, S, S): seen from the start of each piece
    (x, along_x), (y, along_y) = (
        (pixels - start.view(-1, 1, 1, 1) * size - piece * (step.cumsum(1) - step), step)
        for pixels, start, step in (
            (places, numbers[:, 0], angles.cos()[..., None, None]),
            (places[:, None], numbers[:, 1], angles.sin()[..., None, None]),
        )
    )
    along = torch.minimum((x * along_x + y * along_y).clamp(min=0), piece)
    return torch.hypot(x - along * along_x, y - along * along_y).amin(1, keepdim=True)
