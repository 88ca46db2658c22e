"""What moved inside the aligned crops of one face from frame to frame, and where that is certain.

Alignment undoes the motion of the head; what is left are turns, expressions, and things in front.
Dense optical flow follows those as far as it can. Where nothing moved it is not taken, for on noise
it invents motion. What still differs after it is believed the less, the more it differs: an eye
that closes is seen by its own frame, the cheek below by all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..packages import needed_for

with needed_for("steady video", "opencv-python"):
    import cv2

Picture = NDArray[np.float32]
"""(S, S, C)."""

FLOW_SIZE = 256
"""Flow is searched in crops of at most so many pixels: it is smooth, and four times cheaper."""

DIFFERENCE_SIZE = 128
"""Crops are compared at no more than this: differences are blurred anyway."""

NEIGHBOURHOOD = 3 / 128
"""Deviation of the blur of differences, as a share of the crop's side: noise averages out in it."""

STILL_ENOUGH = 1.1
STILL_BIAS = 0.2 / 255
"""Nothing moved where the difference without flow is at most this factor of that with flow, and so
much more."""

TOLERANCE = 6 / 255
"""Root mean square difference at which a neighbour counts half, in pictures with little noise."""
NOISE_TOLERANCE = 2.0
"""The same as a factor on the noise."""
QUIET_PART = 30
"""Percentile of the differences in a crop that noise alone may explain."""

RAISED = 0.4
"""Share by which the detail of a mean is raised, at most."""
DETAIL = 1 / 128
"""What detail is: finer than this share of the crop, the deviation of a blur."""

NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Blind to what is smooth (Immerkaer 1996): what it leaves is six times the noise, or texture."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


class Motion:
    """Sees the crops of a face through each other's eyes."""

    def __init__(self) -> None:
        """Start without crops."""
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grays: dict[int, NDArray[np.uint8]] = {}
        self._small: dict[int, Picture] = {}
        self._noise: dict[int, float] = {}
        self._pairs: dict[tuple[int, int], tuple[Picture, Picture]] = {}

    def add(self, index: int, crop: Picture) -> None:
        """Take the crop of a frame, (S, S, 3) in 0..1."""
        gray = blurred(_shrunk(crop @ LUMINANCE, FLOW_SIZE), 1.0)
        self._grays[index] = (gray * 255).clip(0, 255).round().astype(np.uint8)
        self._small[index] = _shrunk(crop, DIFFERENCE_SIZE)
        finest = cv2.filter2D(crop[..., 1], -1, NOISE_KERNEL)
        self._noise[index] = float(np.median(np.abs(finest))) / (0.6745 * 6)

    def forget_before(self, index: int) -> None:
        """Drop the crops of earlier frames."""
        self._grays = {at: gray for at, gray in self._grays.items() if at >= index}
        self._small = {at: small for at, small in self._small.items() if at >= index}
        self._noise = {at: noise for at, noise in self._noise.items() if at >= index}
        self._pairs = {pair: found for pair, found in self._pairs.items() if min(pair) >= index}

    def average(
        self, at: int, pictures: Mapping[int, Picture], shares: Mapping[int, float]
    ) -> Picture:
        """Mean of a face's pictures around a frame, each brought to that frame first.

        Args:
            at: index of the frame.
            pictures: (S, S, C) by index, aligned like the crops.
            shares: weight of each index, by its distance in time.

        Returns:
            (S, S, C).
        """
        total, weights = self._sums(at, pictures, shares)
        return total / _on_channels(weights, total)

    def crisp_average(
        self, at: int, pictures: Mapping[int, Picture], shares: Mapping[int, float]
    ) -> Picture:
        """The same with detail raised where others had a share in it.

        What is brought to a frame never fits it exactly, so that a mean is softer than each of its
        pictures; and as it is less noisy too, raising its detail brings no noise back.
        """
        total, weights = self._sums(at, pictures, shares)
        mean = total / _on_channels(weights, total)
        detail: Any = mean - blurred(mean, DETAIL * len(mean))
        return mean + detail * _on_channels(RAISED * (1 - shares[at] / weights), mean)

    def _sums(
        self, at: int, pictures: Mapping[int, Picture], shares: Mapping[int, float]
    ) -> tuple[Picture, Picture]:
        """Weighted sum of the pictures, (S, S, C), and the sum of the weights, (S, S)."""
        total = pictures[at] * shares[at]
        weights = np.full(total.shape[:2], shares[at], np.float32)
        for other, share in shares.items():
            if other == at or other not in pictures:
                continue
            flow, trust = self._between(at, other, len(total))
            weight = share * trust
            total += _brought(pictures[other], flow) * _on_channels(weight, total)
            weights += weight
        return total, weights

    def _between(self, at: int, other: int, side: int) -> tuple[Picture, Picture]:
        """Flow from one crop to another, (S, S, 2) in pixels, and trust in it, (S, S) in 0..1."""
        if (at, other) not in self._pairs:
            self._pairs[at, other] = self._compare(at, other, side)
        return self._pairs[at, other]

    def _compare(self, at: int, other: int, side: int) -> tuple[Picture, Picture]:
        here, there = self._small[at], self._small[other]
        flow = self._search.calc(self._grays[at], self._grays[other], None)
        still = _difference(here, there)
        moved = _difference(here, _brought(there, _resized(flow, len(here))))
        moves = (still > STILL_ENOUGH * moved + STILL_BIAS).astype(np.float32)
        moves = blurred(moves, NEIGHBOURHOOD * len(moves))
        difference: Any = still + moves * (moved - still)
        trust = 1 / (1 + np.square(np.square(difference / self._tolerance(at, difference))))
        flow = _resized(flow, side)
        return flow * _on_channels(_resized(moves, side), flow), _resized(trust, side)

    def _tolerance(self, at: int, difference: Picture) -> float:
        """How much crops may differ before a neighbour counts half.

        More where there is more noise: both a part of the crop that differs little and the finest
        detail of the crop itself must show it, for either may have other reasons.
        """
        some = np.sort(difference[::4, ::4], axis=None)
        quiet = float(some[len(some) * QUIET_PART // 100])
        return max(TOLERANCE, NOISE_TOLERANCE * min(quiet, 2**0.5 * self._noise[at]))


def blurred(picture: Picture, deviation: float) -> Picture:
    """A picture or a plane after a Gaussian blur of so many pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), deviation), np.float32)


def _difference(here: Picture, there: Picture) -> Picture:
    """Root mean square difference around every pixel."""
    plane: Any = cv2.transform(np.square(here - there), np.full((1, 3), 1 / 3, np.float32))
    return np.sqrt(blurred(plane, NEIGHBOURHOOD * len(plane)))


def _brought(picture: Picture, flow: Picture) -> Picture:
    """A picture as it would look had it not moved."""
    remap: Any = cv2.remap  # its type knows no missing second map
    places = _grid(len(picture)) + flow
    edge = cv2.BORDER_REPLICATE
    return remap(picture, places, None, cv2.INTER_CUBIC, borderMode=edge).reshape(picture.shape)


def _on_channels(plane: Picture, like: Picture) -> Picture:
    """A plane in every channel: much faster to reckon with than a channel that is repeated."""
    return np.asarray(cv2.merge(like.shape[2] * [plane]), np.float32).reshape(like.shape)


@lru_cache(maxsize=4)
def _grid(size: int) -> Picture:
    """Where every pixel is: (size, size, 2)."""
    line = np.arange(size, dtype=np.float32)
    return np.stack(np.meshgrid(line, line), -1)


def _shrunk(picture: Picture, side: int) -> Picture:
    """A picture or a plane at no more than a size."""
    if len(picture) <= side:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _resized(field: Any, side: int) -> Picture:
    """A flow, in pixels of its own, or a plane at another size."""
    if len(field) == side:
        return np.asarray(field, np.float32)
    grow = side / len(field) if field.ndim == 3 else 1.0
    return np.asarray(cv2.resize(field, (side, side)), np.float32) * np.float32(grow)
