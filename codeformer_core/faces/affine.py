"""Plain-number arithmetic on 2x3 affine maps between pixel grids.

Coordinates are (x, y) with pixel centres at whole numbers. Maps are kept as Python floats, so that
composing and inverting them happens in double precision on every device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

Point = tuple[float, float]
Affine = tuple[tuple[float, float, float], tuple[float, float, float]]

IDENTITY: Affine = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def apply(affine: Affine, point: Point) -> Point:
    """Map one (x, y) point."""
    (a, b, c), (d, e, f) = affine
    x, y = point
    return (a * x + b * y + c, d * x + e * y + f)


def apply_all(affine: Affine, points: Iterable[Point]) -> tuple[Point, ...]:
    """Map several (x, y) points."""
    return tuple(apply(affine, point) for point in points)


def compose(second: Affine, first: Affine) -> Affine:
    """Return the map that applies ``first`` and then ``second``."""
    (a, b, c), (d, e, f) = second
    (g, h, i), (j, k, m) = first
    return (
        (a * g + b * j, a * h + b * k, a * i + b * m + c),
        (d * g + e * j, d * h + e * k, d * i + e * m + f),
    )


def determinant(affine: Affine) -> float:
    """Return the signed factor by which the map changes areas."""
    (a, b, _), (d, e, _) = affine
    return a * e - b * d


def invert(affine: Affine) -> Affine:
    """Return the inverse map.

    Raises:
        ZeroDivisionError: the map flattens the plane and has no inverse.
    """
    (a, b, c), (d, e, f) = affine
    area = determinant(affine)
    return (
        (e / area, -b / area, (b * f - e * c) / area),
        (-d / area, a / area, (d * c - a * f) / area),
    )


def scaling(horizontal: float, vertical: float) -> Affine:
    """Return the map from a picture to its resized copy: ``(p + 0.5) * s - 0.5``.

    Pixel areas, not pixel centres, keep their corners when a picture is resized; leaving the
    half pixels out would shift everything by ``0.5 * (s - 1)``.
    """
    return ((horizontal, 0.0, 0.5 * horizontal - 0.5), (0.0, vertical, 0.5 * vertical - 0.5))


def translation(x: float, y: float) -> Affine:
    """Return the map that moves points by (x, y)."""
    return ((1.0, 0.0, x), (0.0, 1.0, y))


def mean_scale(affine: Affine) -> float:
    """Return the geometric mean of the two directions' enlargement."""
    return math.sqrt(abs(determinant(affine)))
