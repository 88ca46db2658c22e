"""A face on its way through a restorer, steady in time: each frame is helped by its neighbours.

Every frame shows the face through other noise. So the restorer is not given a frame's crop but the
mean of the crops around it, brought to it along optical flow and weighted by how alike they are:
it sees more of the face than any frame shows, and nearly the same from frame to frame. What comes
out still trembles a little; of that, the coarse part is averaged over the frames next to it in the
same way, while the finest detail stays each frame's own, or it would be washed out.

This needs no knowledge of the network: it makes any restorer steady.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import SettingError
from .motion import Motion, Picture, blurred

DEFAULT_STABILITY = 0.5

SEEN_AROUND = 4
"""Frames on either side that the restorer sees through, at most."""
BLENDED_AROUND = 2
"""Frames on either side whose results are averaged, at most."""
LOOK_AHEAD = SEEN_AROUND + BLENDED_AROUND
"""Frames after one whose crops its result may depend on."""

SEEN_SECONDS = 0.24
BLENDED_SECONDS = 0.08
"""Deviations of the weights in time, at full stability."""

HANDOVER = (0.8, 0.7, 0.6, 0.4, 0.2)
"""Shares that what was before has in the first frames after a memory, whose last frame could not
look ahead: a sudden change to frames that can would be seen."""

FINEST = 1 / 128
"""Detail finer than this share of the crop stays each frame's own: deviation of the blur."""


@dataclass(frozen=True)
class Steadiness:
    """How much frames help each other."""

    placement: float = 1.0
    """How much places are smoothed: 0 (not at all) to 1."""
    seen: float = DEFAULT_STABILITY * SEEN_SECONDS
    """Deviation in seconds of the weights by which the restorer sees frames through others."""
    blended: float = DEFAULT_STABILITY * BLENDED_SECONDS
    """Deviation in seconds of the weights by which results are averaged."""

    @classmethod
    def of(cls, stability: float) -> Steadiness:
        """Choose all three by one number: 0 restores every frame by itself, 1 is the steadiest.

        Raises:
            SettingError: it is out of range.
        """
        if not 0 <= stability <= 1:
            raise SettingError(f"stability is {stability}: it must be between 0 and 1")
        placement = min(1.0, stability / DEFAULT_STABILITY)
        return cls(placement, stability * SEEN_SECONDS, stability * BLENDED_SECONDS)

    def seen_shares(self, index: int, times: Sequence[float]) -> dict[int, float]:
        """Weights of the frames that the restorer sees a frame through."""
        return _shares(index, times, self.seen, SEEN_AROUND)

    def blended_shares(self, index: int, times: Sequence[float]) -> dict[int, float]:
        """Weights of the frames whose results are averaged."""
        return _shares(index, times, self.blended, BLENDED_AROUND)


@dataclass(frozen=True)
class Memory:
    """The last frames of a face, for going on with it later; -1 is the last frame, and so on."""

    crops: Mapping[int, Picture]
    """What was cut out."""
    seen: Mapping[int, Picture]
    """What the restorer was given for the last of them."""
    restored: Mapping[int, Picture]
    """What it made of the last ones."""

    @property
    def side(self) -> int:
        """Of the crops in pixels."""
        return next((len(crop) for crop in self.crops.values()), 0)


class SteadyFace:
    """Takes the crops of one face in order and gives back what to restore, then steady results."""

    def __init__(
        self, steadiness: Steadiness, times: Sequence[float], wanted: range, stop: int
    ) -> None:
        """Prepare for a face.

        Args:
            steadiness: how much frames help each other.
            times: when the frames of the video are shown, in seconds.
            wanted: indices of the frames whose results are wanted; those before and after them
                only help.
            stop: index after the last frame that will be taken.
        """
        self._steadiness, self._times = steadiness, times
        self._wanted, self._stop = wanted, stop
        self._helpful = range(wanted.start - BLENDED_AROUND, wanted.stop + BLENDED_AROUND)
        self._motion = Motion()
        self._crops: dict[int, Picture] = {}
        self._restored: dict[int, Picture] = {}
        self._to_restore: list[int] = []
        self._restoring: list[int] = []
        self._to_blend: list[int] = []
        self._last_input: dict[int, Picture] = {}
        self._handover: Sequence[float] = ()
        self._seen = -1

    def recall(self, memory: Memory) -> None:
        """Go on with what is known of the frames before the wanted ones, first of all."""
        start = self._wanted.start
        for back, crop in memory.crops.items():
            self._crops[start + back] = crop
            self._motion.add(start + back, crop)
        self._last_input = {start + back: picture for back, picture in memory.seen.items()}
        self._restored = {start + back: picture for back, picture in memory.restored.items()}
        self._handover = HANDOVER if self._steadiness.seen > 0 else ()

    def memory(self) -> Memory:
        """What is to be known of the last wanted frames, when all results are there."""
        stop = self._wanted.stop
        return Memory(
            {at - stop: crop for at, crop in self._crops.items() if at >= stop - SEEN_AROUND},
            {at - stop: picture for at, picture in self._last_input.items()},
            {
                at - stop: picture.copy()  # or it would keep its whole batch
                for at, picture in self._restored.items()
                if at >= stop - BLENDED_AROUND
            },
        )

    def take(self, index: int, crop: Picture | None) -> None:
        """Take the crop of the next frame, (S, S, 3) in 0..1; None if it is not to be used."""
        self._seen = index
        if crop is not None:
            self._crops[index] = crop
            self._motion.add(index, crop)
            if index in self._helpful:
                self._to_restore.append(index)

    def inputs(self) -> Iterator[tuple[int, Picture]]:
        """What is to be restored next, of every frame whose neighbours are all there."""
        while self._to_restore and self._has_seen(self._to_restore[0] + SEEN_AROUND):
            index = self._to_restore.pop(0)
            if index in self._wanted:
                self._to_blend.append(index)
            self._restoring.append(index)
            picture = self._see(index)
            self._last_input = {index: picture}
            yield index, picture

    def give(self, index: int, restored: Picture | None) -> None:
        """Take the result of one of the inputs, (S, S, C); None if there is none."""
        self._restoring.remove(index)
        if restored is not None:
            self._restored[index] = restored

    def results(self) -> Iterator[tuple[int, Picture | None]]:
        """Steady results, of every frame whose neighbours' results are all there, in order."""
        while self._to_blend and self._is_complete(self._to_blend[0]):
            index = self._to_blend.pop(0)
            yield index, self._blend(index) if index in self._restored else None
            self._forget_before(index - LOOK_AHEAD)

    def _is_complete(self, index: int) -> bool:
        last = index + BLENDED_AROUND
        missing = (at <= last for at in (*self._restoring, *self._to_restore))
        return self._has_seen(last) and not any(missing)

    def _has_seen(self, index: int) -> bool:
        return self._seen >= min(index, self._stop - 1)

    def _see(self, index: int) -> Picture:
        """What the restorer is given for a frame."""
        shares = self._steadiness.seen_shares(index, self._times)
        mean = self._motion.crisp_average(index, self._crops, shares)
        since, before = index - self._wanted.start, index - 1
        if not 0 <= since < len(self._handover) or before not in self._last_input:
            return mean
        share, pictures = self._handover[since], {index: mean} | self._last_input
        return self._motion.average(index, pictures, {index: 1 - share, before: share})

    def _blend(self, index: int) -> Picture:
        own, shares = self._restored[index], self._steadiness.blended_shares(index, self._times)
        mean = self._motion.average(index, self._restored, shares)
        change = blurred(mean - own, max(1.0, FINEST * own.shape[0]))
        return own + change

    def _forget_before(self, index: int) -> None:
        self._motion.forget_before(index)
        self._crops = {at: crop for at, crop in self._crops.items() if at >= index}
        self._restored = {at: picture for at, picture in self._restored.items() if at >= index}


def _shares(index: int, times: Sequence[float], deviation: float, around: int) -> dict[int, float]:
    """Weights of the frames around one, by their distance in time."""
    if deviation <= 0:
        return {index: 1.0}
    places = range(max(0, index - around), min(len(times), index + around + 1))
    away = {at: (times[at] - times[index]) / deviation for at in places}
    return {at: float(np.exp(-0.5 * far**2)) for at, far in away.items() if abs(far) <= 3}
