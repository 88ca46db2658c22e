"""Brush strokes that hide parts of a face, as a user would paint over what is to be filled in."""

import numpy as np

from .parameters import Degradation

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
