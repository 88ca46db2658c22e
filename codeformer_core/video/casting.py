"""Who is restored where: tracks of the chosen people, with steady placements and soft ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingError
from ..faces import Placement
from ..faces.types import TEMPLATE_SIZE
from .people import number_people
from .placements import placement_numbers, placement_of, steady_placements
from .survey import Survey
from .tracks import Track

FADE_SECONDS = 0.2
"""In which a face appears or vanishes that is found or lost within a shot."""


@dataclass(frozen=True)
class Role:
    """A track that is to be restored."""

    track: Track
    """Where it was found."""
    person: int
    """Number of whom it shows, from 1."""
    numbers: NDArray[np.float32]
    """(n, 4) its steady placements."""

    @cached_property
    def largest(self) -> float:
        """Side of its aligned square in the displayed picture, where that is largest."""
        return float(np.exp(np.nanmax(self.numbers[:, 2]))) * TEMPLATE_SIZE

    def placement(self, index: int, survey: Survey) -> Placement | None:
        """Where its crop lies in the displayed picture of a frame; None if that cannot be told."""
        numbers = self.numbers[index - self.track.start]
        if not np.isfinite(numbers).all():
            return None
        return placement_of(numbers.tolist(), survey.height, survey.width)

    def opacity(self, index: int, times: Sequence[float]) -> float:
        """How much of it is to be seen in a frame, 0 to 1."""
        track, now = self.track, times[index]
        since, until = now - times[track.start], times[track.stop - 1] - now
        rise = 1.0 if track.begins_shot else _ramp(since)
        return min(rise, 1.0 if track.ends_shot else _ramp(until))


class Cast:
    """Everybody who is to be restored."""

    def __init__(
        self, survey: Survey, times: Sequence[float], people: Sequence[int], stability: float
    ) -> None:
        """Choose tracks and steady their placements.

        Args:
            survey: what the first pass found.
            times: when the frames are shown, in seconds.
            people: numbers of those to restore, from 1; empty takes all.
            stability: of the placements, 0 to 1.

        Raises:
            SettingError: there is no such person.
        """
        self.survey, self.times = survey, times
        numbers = number_people(survey.tracks)
        self.people = max(numbers, default=0)
        _check_people(people, self.people)
        self.roles = [
            Role(track, person, _steady(track, times, stability))
            for track, person in zip(survey.tracks, numbers, strict=True)
            if not people or person in people
        ]

    def within(self, start: int, stop: int) -> list[Role]:
        """Those that are seen in some of the frames."""
        return [role for role in self.roles if role.track.start < stop and role.track.stop > start]


def _steady(track: Track, times: Sequence[float], stability: float) -> NDArray[np.float32]:
    moments = times[track.start : track.stop]
    weights = track.scores.astype(np.float64)
    steady = steady_placements(placement_numbers(track.points), moments, weights, stability)
    return steady.astype(np.float32)


def _ramp(seconds: float) -> float:
    """Rise smoothly from nearly 0 to 1."""
    share = min(1.0, (seconds + 0.02) / FADE_SECONDS)
    return share * share * (3 - 2 * share)


def _check_people(people: Sequence[int], count: int) -> None:
    wrong = [person for person in people if not 1 <= person <= count]
    if wrong and count:
        known = "there is only person 1" if count == 1 else f"the numbers go from 1 to {count}"
        raise SettingError(f"there is no person {wrong[0]} in this video: {known}")
