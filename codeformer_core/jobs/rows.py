"""Blocks and what became of them as rows, to go between processes: paths, never pixels."""

import json
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..addresses import Place, place
from .outcome import Outcome
from .places import Status
from .plan import Block, Task


class News(NamedTuple):
    """What a worker tells."""

    outcomes: list[Outcome]
    """Of pictures that it is through with."""
    fatal: str = ""
    """Why the whole job must end, in the user's words."""


def block_row(block: Block) -> bytes:
    """A block without the output folder, which is the same for all; paths have much in common."""
    tasks = [(str(task.source), task.result, task.seen, task.frames) for task in block.tasks]
    return zlib.compress(json.dumps([block.number, tasks]).encode())


def block_of(row: bytes, output: Place) -> Block:
    """The block of a row."""
    number, tasks = json.loads(zlib.decompress(row))
    return Block(number, tuple(_task(output, *values) for values in tasks))


def news_row(outcomes: Sequence[Outcome], fatal: str = "") -> str:
    """What a worker tells, without the output folder."""
    return json.dumps([[_values(outcome) for outcome in outcomes], fatal])


def news_of(row: list[Any], output: Place) -> News:
    """What a row tells, read from JSON."""
    values, fatal = row
    return News([_outcome(output, *each) for each in values], fatal)


def _values(outcome: Outcome) -> tuple[object, ...]:
    task = outcome.task
    became = (outcome.faces, outcome.notes, outcome.error, outcome.trace, outcome.parts)
    seen = None if outcome.is_final else task.seen  # of which more tasks are made
    return (str(task.source), task.result, seen, task.frames, *became)


def _outcome(
    output: Place,
    source: str,
    result: str,
    seen: list[Any] | None,
    frames: list[int] | None,
    faces: int,
    notes: list[str],
    error: str,
    trace: str,
    parts: list[list[int]],
) -> Outcome:
    task = _task(output, source, result, seen, frames)
    ranges = tuple((start, stop) for start, stop in parts)
    return Outcome(task, faces, tuple(notes), error, trace, ranges)


def _task(
    output: Place, source: str, result: str, seen: list[Any] | None, frames: list[int] | None
) -> Task:
    status = Status(*seen) if seen else None
    return Task(place(source), output, result, status, (frames[0], frames[1]) if frames else None)
