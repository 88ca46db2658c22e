"""Faces picked in the picture: which of them are there, and the fidelity of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from . import host

if TYPE_CHECKING:
    from ..codeformer_core.faces import Faces

LISTED = 10
"""Missing faces that a message names."""


@dataclass(frozen=True)
class Picked:
    """What remains of a choice made on an earlier run."""

    places: set[int]
    """Of the chosen faces that are there, counted from 0; all of them if nothing was picked."""
    fidelity: float | list[float]
    """One for all, or one for each of these faces in their order."""


def picking_inputs() -> list[Any]:
    """What the picker in the node fills in."""
    return [
        io.String.Input(
            "picked",
            default="",
            optional=True,
            tooltip="Numbers of the faces to restore, for example 1, 3-5; clicking in the node's "
            "picture fills it in. Empty: all faces.",
        ),
        io.String.Input(
            "per_face",
            default="",
            optional=True,
            tooltip="One fidelity for each of these faces, in the order above, for example 0.3, 1, "
            "0.5. Empty: all get the fidelity above.",
        ),
    ]


def pick(faces: Faces, picked: str, per_face: str, fidelity: float) -> Picked:
    """Take the picked faces, and tell the user which of them are not there.

    Args:
        faces: what was found.
        picked: their numbers from 1, as the user wrote or clicked them; empty takes all.
        per_face: one fidelity for each number, in their order, or empty.
        fidelity: for all of them while `per_face` is empty.

    Raises:
        SettingError: a text cannot be read, or there are not as many fidelities as faces.
    """
    from ..codeformer_core.errors import SettingError
    from ..codeformer_core.faces.selection import parse_numbers
    from ..codeformer_core.pipeline.codes import parse_fidelities

    numbers = list(dict.fromkeys(parse_numbers(picked))) or list(range(1, faces.count + 1))
    values = parse_fidelities(per_face) or [fidelity] * len(numbers)
    if len(values) != len(numbers):
        raise SettingError(
            f"per_face gives {len(values)} fidelities for {len(numbers)} faces: write one for "
            "each, or nothing"
        )
    # As written they belong together; the faces come in the order of their numbers.
    chosen, there = dict(zip(numbers, values, strict=True)), sorted(present(numbers, faces))
    kept = [chosen[number] for number in there]
    return Picked({number - 1 for number in there}, kept if per_face.strip() else fidelity)


def present(numbers: list[int], faces: Faces) -> list[int]:
    """The numbers that faces have; the others are said to be missing."""
    missing = [number for number in numbers if not 1 <= number <= faces.count]
    if missing:
        listed = ", ".join(map(str, missing[:LISTED]))
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        host.say(f"picked, but not found this time: face {listed}{more}", warning=True)
    return [number for number in numbers if 1 <= number <= faces.count]


def present_text(picked: str, faces: Faces) -> str:
    """The same for numbers in a text."""
    from ..codeformer_core.faces.selection import parse_numbers

    return ", ".join(map(str, present(parse_numbers(picked), faces)))
