"""Which tracks show the same person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .tracks import Track

SAME_PERSON = 0.55
"""Mean descriptors nearer than this are of one person (single pictures: 0.6)."""


def number_people(tracks: Sequence[Track]) -> list[int]:
    """Tell for every track whom it shows.

    The longest tracks come first, each joined to the person it is most like, unless both are seen
    at one time. A track without a descriptor is a person of its own.

    Args:
        tracks: of the whole video.

    Returns:
        A number for each track: 1 is who is seen longest.
    """
    people: list[list[int]] = []
    order = sorted(range(len(tracks)), key=lambda place: -len(tracks[place].scores))
    for place in order:
        person = _nearest(tracks, people, place)
        if person is None:
            people.append([place])
        else:
            person.append(place)
    people.sort(key=lambda person: -sum(len(tracks[place].scores) for place in person))
    numbers = {place: number for number, person in enumerate(people, 1) for place in person}
    return [numbers[place] for place in range(len(tracks))]


def _nearest(tracks: Sequence[Track], people: list[list[int]], place: int) -> list[int] | None:
    """The person a track is most like; None if it is like none."""
    descriptor, best, nearest = tracks[place].descriptor, None, SAME_PERSON
    if descriptor is None:
        return None
    for person in people:
        known = [tracks[other].descriptor for other in person]
        known = [each for each in known if each is not None]
        if not known or any(_overlap(tracks[place], tracks[other]) for other in person):
            continue
        apart = float(np.linalg.norm(np.mean(known, 0) - descriptor))
        if apart < nearest:
            best, nearest = person, apart
    return best


def _overlap(first: Track, second: Track) -> bool:
    return first.start < second.stop and second.start < first.stop
