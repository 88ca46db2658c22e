"""Choose some of the faces that were found."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, get_args

from ..errors import SettingError
from .types import Face, Faces

Rule = Literal[
    "all", "largest", "highest score", "left to right", "centre first", "numbers", "picked"
]

RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which faces to take.

    The limits on score and size come first, then the rule chooses among what they leave.

    Attributes:
        rule: "all"; the first ``count`` faces of each frame ordered by area, by score, from left
            to right or by distance from the picture's centre; or those listed in ``numbers``, all
            of which must be there unless they were "picked" on an earlier run.
        count: how many faces of each frame an ordering rule takes.
        numbers: for the last two rules: "1, 3-5", counted from 1 over all frames, as
            ``draw_faces`` numbers the faces; empty takes none.
        min_score: faces scored lower are left out.
        min_size: faces whose longer side has fewer picture pixels are left out.
        max_size: faces whose longer side has more are left out; 0 sets no limit.
    """

    rule: Rule = "all"
    count: int = 1
    numbers: str = ""
    min_score: float = 0.0
    min_size: float = 0.0
    max_size: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingError: a value is out of its range.
        """
        if self.rule not in RULES:
            raise SettingError(f"the rule is {self.rule!r}: use one of {', '.join(RULES)}")
        if self.count < 0:
            raise SettingError(f"count is {self.count}: it must be 0 or more")
        if not 0.0 <= self.min_score <= 1.0:
            raise SettingError(f"min_score is {self.min_score}: it must be between 0 and 1")
        if not (self.min_size >= 0.0 and self.max_size >= 0.0):
            raise SettingError("min_size and max_size must be 0 or more pixels")
        if 0.0 < self.max_size < self.min_size:
            raise SettingError(
                f"max_size {self.max_size:g} is below min_size {self.min_size:g}: no face fits; "
                "0 sets no upper limit"
            )


def select_places(faces: Faces, selection: Selection) -> set[int]:
    """Return the places of the chosen faces, for ``Faces.take`` and ``Faces.without``.

    Args:
        faces: what was found.
        selection: which of them to take.

    Raises:
        SettingError: a number that no face has, or a list of numbers that cannot be read. Where
            there is no face at all, nothing can be out of range.
    """
    kept = _within_limits(faces, selection)
    if selection.rule == "all":
        return kept
    if selection.rule == "numbers":
        return kept & _numbered(selection.numbers, faces.count)
    if selection.rule == "picked":
        return kept & {number - 1 for number in parse_numbers(selection.numbers)}
    rank = _ranking(selection.rule, faces)
    chosen: set[int] = set()
    flat = enumerate(faces)
    for frame in faces.frames:
        left = [(place, face) for place, face in islice(flat, len(frame)) if place in kept]
        best = sorted(left, key=lambda item: rank(item[1]))[: selection.count]
        chosen.update(place for place, _ in best)
    return chosen


def parse_numbers(text: str) -> list[int]:
    """Read "1, 3-5" as [1, 3, 4, 5].

    Raises:
        SettingError: anything that is neither a whole number nor a range of them.
    """
    numbers: list[int] = []
    for item in re.split(r"[\s,;]+", re.sub(r"\s*-\s*", "-", text.strip())):
        if not item:
            continue
        found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", item)
        if found is None:
            raise SettingError(f"{item!r} is no number of a face: write, for example, 1, 3-5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise SettingError(f"the range {item} runs backwards: write {last}-{first}")
        numbers.extend(range(first, last + 1))
    return numbers


def _numbered(text: str, count: int) -> set[int]:
    """Places, from 0, of the numbers in the text."""
    numbers = parse_numbers(text)
    if count == 0:
        return set()
    wrong = next((number for number in numbers if not 1 <= number <= count), None)
    if wrong is not None:
        known = "there is only face 1" if count == 1 else f"the numbers go from 1 to {count}"
        raise SettingError(f"there is no face {wrong}: {known}")
    return {number - 1 for number in numbers}


def _within_limits(faces: Faces, selection: Selection) -> set[int]:
    largest = selection.max_size or math.inf
    return {
        place
        for place, face in enumerate(faces)
        if face.score >= selection.min_score and selection.min_size <= face.box.size <= largest
    }


def _ranking(rule: Rule, faces: Faces) -> Callable[[Face], tuple[float, ...]]:
    centre = ((faces.width - 1) / 2, (faces.height - 1) / 2)
    ranks: dict[Rule, Callable[[Face], tuple[float, ...]]] = {
        "largest": lambda face: (-face.box.area,),
        "highest score": lambda face: (-face.score,),
        "left to right": lambda face: face.box.centre,
        "centre first": lambda face: (math.dist(face.box.centre, centre),),
    }
    return ranks[rule]
