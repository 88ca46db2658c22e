"""Fit faces to the five-point template (least-squares similarity, Umeyama 1991)."""

from __future__ import annotations

import cmath
from collections.abc import Sequence

from ..errors import PictureError
from . import affine
from .affine import Affine, Point
from .types import TEMPLATE_SIZE, Landmarks, Placement

TEMPLATE = Landmarks(
    left_eye=(192.98138, 239.94708),
    right_eye=(318.90277, 240.1936),
    nose=(256.63416, 314.01935),
    mouth_left=(201.26117, 371.41043),
    mouth_right=(313.08905, 371.15118),
)
"""Where the landmarks of an aligned face lie in a 512-pixel crop (the template of FFHQ crops)."""

SMALLEST_SPREAD = 1e-3
"""Root-mean-square distance in pixels of the landmarks from their centre, under which no rotation
or scale can be read from them."""


def place(
    landmarks: Landmarks, crop_size: int, picture_height: int, picture_width: int
) -> Placement:
    """Return where the aligned crop of a face lies in its picture.

    Args:
        landmarks: the face's five points in picture pixels; they may lie outside the picture.
        crop_size: side of the square crop in pixels.
        picture_height: height of the picture in pixels.
        picture_width: width of the picture in pixels.

    Raises:
        PictureError: the landmarks coincide or are not finite, so no crop can be fitted.
    """
    matrix = fit_similarity(landmarks.points, TEMPLATE.points)
    template = Placement(matrix, TEMPLATE_SIZE, picture_height, picture_width)
    return template.rescaled(crop_size)


def fit_similarity(
    source: Sequence[Point], target: Sequence[Point], weights: Sequence[float] | None = None
) -> Affine:
    """Return the rotation, scale and shift that best take ``source`` points to ``target`` points.

    In the plane a similarity is ``z -> turn * z + shift`` over the complex numbers, and the
    least-squares solution (Umeyama 1991, equations 40 to 42, without reflections) is a plain
    complex regression: it always exists unless the points coincide.

    Args:
        source: (x, y) points.
        target: as many (x, y) points.
        weights: how much each pair counts, all alike if left out.

    Raises:
        PictureError: the source points coincide, collapse onto one point, or are not finite.
    """
    shares = _normalised(weights, len(source))
    starts = [complex(*point) for point in source]
    ends = [complex(*point) for point in target]
    start_centre = sum(share * z for share, z in zip(shares, starts, strict=True))
    end_centre = sum(share * z for share, z in zip(shares, ends, strict=True))
    spread = 0.0
    covariance = 0j
    for share, start, end in zip(shares, starts, ends, strict=True):
        spread += share * abs(start - start_centre) ** 2
        covariance += share * (start - start_centre).conjugate() * (end - end_centre)
    # Written so that NaN fails the test too.
    if not spread >= SMALLEST_SPREAD**2 or not cmath.isfinite(spread):
        raise PictureError(
            "the landmarks of a face coincide or are not finite, so it cannot be aligned: "
            "raise the detection confidence or leave this face out"
        )
    turn = covariance / spread
    if abs(turn) < 1e-9:
        raise PictureError(
            "the landmarks of a face show no shape that fits the five-point template: "
            "raise the detection confidence or leave this face out"
        )
    shift = end_centre - turn * start_centre
    return ((turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag))


def landmarks_of(placement: Placement) -> Landmarks:
    """Return the five template points of a placement in picture pixels."""
    inverse = placement.rescaled(TEMPLATE_SIZE).inverse
    return Landmarks(*affine.apply_all(inverse, TEMPLATE.points))


def _normalised(weights: Sequence[float] | None, count: int) -> list[float]:
    chosen = [1.0] * count if weights is None else list(weights)
    total = sum(chosen)
    return [weight / total for weight in chosen]
