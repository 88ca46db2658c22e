"""Where a shot ends and another one begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

THUMBNAIL = (18, 32)
"""Rows and columns to which frames are shrunk: what moves inside a shot hardly changes them."""

LEAST_CHANGE = 0.05
"""Mean change of a thumbnail's values (0..1) under which nothing is taken for a cut."""

NEIGHBOURS = 4
"""Frames on either side that tell how much a shot changes by itself."""

STANDS_OUT = 2.5
"""A cut changes so many times more than the frames around it."""

FLASH = 0.5
"""If what follows a jump is nearer than this share of it to what was before, it was a flash."""


def thumbnail(frame: Tensor) -> Tensor:
    """All that is looked at of a frame: (H, W, 3) to (18, 32, 3); its own is itself."""
    small = functional.interpolate(frame.movedim(-1, 0)[None], THUMBNAIL, mode="area")
    return small[0].movedim(0, -1)


class CutFinder:
    """Collects the changes between frames and tells the cuts among them."""

    def __init__(self) -> None:
        """Start with no frame."""
        self._last: list[Tensor] = []
        self._changes: list[float] = []
        self._over_two: list[float] = []

    def add(self, frame: Tensor) -> None:
        """Look at the next frame, (H, W, 3) in 0..1."""
        small = thumbnail(frame)
        changes = [float((small - earlier).abs().mean()) for earlier in self._last]
        self._changes.append(changes[-1] if changes else 0.0)
        self._over_two.append(changes[0] if len(changes) > 1 else 1.0)
        self._last = [*self._last[-1:], small]

    def cuts(self) -> list[int]:
        """The frames with which a new shot begins, without the first."""
        changes = np.array(self._changes)
        jumps = [place for place, change in enumerate(self._changes) if change >= LEAST_CHANGE]
        return [place for place in jumps if self._is_cut(changes, place)]

    def _is_cut(self, changes: NDArray[np.float64], place: int) -> bool:
        around = np.r_[
            changes[max(1, place - NEIGHBOURS) : place],
            changes[place + 1 : place + 1 + NEIGHBOURS],
        ]
        if len(around) and changes[place] < STANDS_OUT * np.median(around):
            return False
        return not (self._is_flash(changes, place) or self._is_flash(changes, place - 1))

    def _is_flash(self, changes: NDArray[np.float64], place: int) -> bool:
        """Whether the frame at a place differs from both that are next to it, which are alike."""
        if not 1 <= place < len(changes) - 1:
            return False
        nearer = min(changes[place], changes[place + 1])
        return nearer >= LEAST_CHANGE and self._over_two[place + 1] < FLASH * nearer
