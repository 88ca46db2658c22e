"""Steady placements along a track: a nod is followed, the detector's jitter is not.

A placement is four numbers: where the crop's centre lies, the logarithm of its scale and its angle.
Each is fitted by parabolas over a window in time (local quadratic regression), which looks as far
ahead as back, so that nothing lags; wrong findings count less; and where a wide window does not
follow what the face truly does, a narrow one takes over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..faces import TEMPLATE, TEMPLATE_SIZE, Placement, affine

Array = NDArray[np.float64]

CENTRE = complex(0.5 * (TEMPLATE_SIZE - 1), 0.5 * (TEMPLATE_SIZE - 1))

WIDE, NARROW = 0.24, 0.07
"""Deviations in seconds of the two windows."""

REACH = 2.5
"""Deviations after which a window ends."""

MOST_FRAMES = 40
"""On each side of a window, however many frames a second."""

REAL_MOTION = 2.0
"""The windows' results must differ by so many times the jitter before the narrow one is taken."""

OUTLIER = 3.0
"""Findings that are off by so many times the jitter count half; those further off, ever less."""

ROWS_AT_ONCE = 4096


def placement_numbers(points: NDArray[np.floating]) -> Array:
    """Fit the template to landmarks.

    Args:
        points: (n, 5, 2) landmarks.

    Returns:
        (n, 4): x and y of the crop's centre, natural logarithm of picture pixels a crop pixel of
        512, angle in radians, continuous along the track. Landmarks without a shape give NaN.
    """
    template = np.array([complex(*point) for point in TEMPLATE.points])
    seen = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    start, middle = template - template.mean(), seen.mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Least squares, as `faces.fit_similarity` has it: template = turn * picture + shift.
        spread = (np.abs(seen - middle[:, None]) ** 2).sum(1)
        turn = ((seen - middle[:, None]).conj() * start).sum(1) / spread
        centre = middle + (CENTRE - template.mean()) / turn
        scale = -np.log(np.abs(turn))
    angle = np.unwrap(-np.angle(turn))
    return np.stack([centre.real, centre.imag, scale, angle], 1)


def placement_of(numbers: Sequence[float], height: int, width: int) -> Placement:
    """The placement of four numbers in a picture of a size in pixels."""
    x, y, scale, angle = (float(number) for number in numbers)
    turn = np.exp(complex(scale, angle))
    shift = complex(x, y) - turn * CENTRE
    to_picture = (
        (turn.real, -turn.imag, shift.real),
        (turn.imag, turn.real, shift.imag),
    )
    return Placement(affine.invert(to_picture), TEMPLATE_SIZE, height, width)


def steady_placements(
    numbers: Array, times: Sequence[float], weights: Array, stability: float
) -> Array:
    """Smooth the placements of a track.

    Args:
        numbers: (n, 4) as `placement_numbers` gives them.
        times: (n,) seconds, rising.
        weights: (n,) how much each finding counts, 0 for those that are filled in.
        stability: 0 changes nothing, 1 smooths fully.

    Returns:
        (n, 4).
    """
    if stability <= 0 or len(numbers) < 3:
        return numbers
    moments = np.asarray(times, np.float64)
    units = _in_pixels(numbers)
    weights = np.where(np.isfinite(units).all(1), weights, 0.0)
    units = np.nan_to_num(units)
    jitter = _jitter(units, weights)
    trusted = weights * _trust(units, moments, weights, jitter)
    wide = _fit(units, moments, trusted, WIDE * stability)
    narrow = _fit(units, moments, trusted, NARROW * stability)
    off = np.abs(_fit(wide - narrow, moments, np.ones(len(units)), NARROW * stability))
    share = off**2 / (off**2 + (REAL_MOTION * jitter) ** 2)
    return _from_pixels(wide + share * (narrow - wide), numbers)


def _in_pixels(numbers: Array) -> Array:
    """Scale and angle as the distance they move the crop's edge, so that all four compare."""
    radius = np.exp(np.nanmedian(numbers[:, 2])) * TEMPLATE_SIZE / 2
    return numbers * np.array([1.0, 1.0, radius, radius])


def _from_pixels(units: Array, numbers: Array) -> Array:
    radius = np.exp(np.nanmedian(numbers[:, 2])) * TEMPLATE_SIZE / 2
    return units / np.array([1.0, 1.0, radius, radius])


def _jitter(units: Array, weights: Array) -> Array:
    """Deviation of the findings' noise, (4,).

    It is read from second differences, which true motion hardly has from frame to frame.
    """
    bends = units[:-2] - 2 * units[1:-1] + units[2:]
    seen = (weights[:-2] > 0) & (weights[1:-1] > 0) & (weights[2:] > 0)
    bends = bends[seen] if seen.sum() >= 3 else bends
    return 1.4826 * np.median(np.abs(bends), 0) / np.sqrt(6) + 1e-3


def _trust(units: Array, times: Array, weights: Array, jitter: Array) -> Array:
    """How much each finding is believed, (n,): less if it lies far off its neighbours' parabola."""
    off = np.abs(units - _fit(units, times, weights, NARROW, itself=0.0)) / jitter
    return 1 / (1 + (off.max(1) / OUTLIER) ** 2)


def _fit(
    values: Array, times: Array, weights: Array, deviation: float, itself: float = 1.0
) -> Array:
    """Value at every time of the parabola through the findings around it.

    Args:
        values: (n, k).
        times: (n,).
        weights: (n,).
        deviation: of the Gaussian window in seconds.
        itself: weight of the very finding.
    """
    count = len(values)
    step = max(float(np.median(np.diff(times))), 1e-4)
    reach = int(min(MOST_FRAMES, max(2, np.ceil(REACH * deviation / step)), count - 1))
    offsets = np.arange(-reach, reach + 1)
    fitted = np.empty_like(values)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, count))
        fitted[rows] = _fit_rows(rows, offsets, values, times, weights, deviation, itself)
    return fitted


def _fit_rows(
    rows: NDArray[np.int64],
    offsets: NDArray[np.int64],
    values: Array,
    times: Array,
    weights: Array,
    deviation: float,
    itself: float,
) -> Array:
    places = rows[:, None] + offsets
    inside = (places >= 0) & (places < len(values))
    places = places.clip(0, len(values) - 1)
    away = (times[places] - times[rows, None]) / deviation  # (rows, window)
    weight = weights[places] * np.exp(-0.5 * away**2) * inside
    weight[:, offsets == 0] *= itself
    powers = np.stack([np.ones_like(away), away, away**2], -1)  # (rows, window, 3)
    weighted = powers * weight[..., None]
    normal = weighted.transpose(0, 2, 1) @ powers
    # A little pull towards a constant, for windows with fewer findings than a parabola needs.
    ridge = np.diag([1e-9, 1e-3, 1e-3]) * np.maximum(weight.sum(1), 1e-6)[:, None, None]
    right = weighted.transpose(0, 2, 1) @ values[places]
    return np.linalg.solve(normal + ridge, right)[:, 0]
