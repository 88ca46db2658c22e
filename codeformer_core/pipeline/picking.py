"""Faces picked by number on an earlier run: which of them are there now, and their fidelities."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..faces import Faces
from .automatic import Automatic, FidelityChoice, PerFace, per_face

LISTED = 10
"""Missing faces that a note names."""


@dataclass(frozen=True)
class Picked:
    """What remains of a choice."""

    places: tuple[int, ...]
    """Of the chosen faces that are there, counted from 0, in order."""
    fidelity: PerFace
    """(N,) one for each of them, or what chooses them."""
    warnings: tuple[str, ...] = ()
    """Which are not there."""


def pick(faces: Faces, numbers: Sequence[int], fidelity: FidelityChoice) -> Picked:
    """Choose faces by the numbers that `draw_faces` gives them.

    Args:
        faces: what was found.
        numbers: of the wanted ones, from 1, in any order; none takes all.
        fidelity: one for all, one for each of `numbers` in their order, or what chooses them.

    Raises:
        SettingError: a fidelity outside 0..1, or not as many as numbers.
    """
    wanted = list(dict.fromkeys(numbers)) or list(range(1, faces.count + 1))
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    kept = [place for place in order if is_there(wanted[place], faces)]
    weights = per_face(fidelity, len(wanted))
    return Picked(
        tuple(wanted[place] - 1 for place in kept),
        weights if isinstance(weights, Automatic) else weights[kept],
        missing_notes(wanted, faces),
    )


def is_there(number: int, faces: Faces) -> bool:
    """Whether a face has this number."""
    return 1 <= number <= faces.count


def missing_notes(numbers: Sequence[int], faces: Faces) -> tuple[str, ...]:
    """Which numbers no face has; a note, or none."""
    missing = [number for number in numbers if not is_there(number, faces)]
    if not missing:
        return ()
    listed = ", ".join(map(str, missing[:LISTED]))
    more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
    return (f"picked, but not found this time: face {listed}{more}",)
