"""What a worker notes of a block of pictures, so that its successor goes on where it stopped."""

import json
from typing import Any

from ..addresses import Place
from .outcome import Outcome
from .places import read_bytes, status, write_bytes
from .plan import Block, Task

Entry = dict[str, Any]
"""A line: what became of one picture; or, in the first one, how often the block was begun."""

DESCRIBED = ("result_bytes", "source_bytes", "source_time")
"""What must be the same, if a result is to count as the one that was made of a picture."""


class BlockNotes:
    """The file of one block, replaced whole whenever something is added to it."""

    def __init__(self, file: Place, block: Block, settings: str) -> None:
        """Take over what an earlier worker noted, and note that another one begins.

        Raises:
            DiskFullError: the disk is full.
            PictureError: the file cannot be read or written.
        """
        self._file, self._block, self._settings = file, block, settings
        begun, *self._entries = parse_lines(read_bytes(file)) or [{}]
        done = len(self._entries)
        self.tries: int = 1 + (begun["tries"] if begun.get("done") == done else 0)
        """How often a worker has now come to the picture that is next."""
        self._begun = {"tries": self.tries, "done": done}
        self._write()

    @property
    def outcomes(self) -> list[Outcome]:
        """What is noted, in order of the tasks."""
        pairs = zip(self._block.tasks, self._entries, strict=False)
        return [outcome_of(task, entry) for task, entry in pairs]

    def add(self, outcome: Outcome) -> None:
        """Note what became of the next task.

        Raises:
            DiskFullError: the disk is full.
            PictureError: the file cannot be written.
        """
        self._entries.append(self._entry(outcome))
        self._begun = {"tries": 1, "done": len(self._entries)}  # it goes on to the next at once
        self._write()

    def _write(self) -> None:
        lines = [json.dumps(entry) + "\n" for entry in (self._begun, *self._entries)]
        write_bytes(self._file, "".join(lines).encode())

    def _entry(self, outcome: Outcome) -> Entry:
        task = outcome.task
        if outcome.error:
            return {"result": task.result, "error": outcome.error}
        if not outcome.is_final:
            return {"part_of": task.result, "parts": outcome.parts}
        written = status(task.target)
        return {
            "result": task.result,
            **describe(task, written.bytes if written else None),
            "settings": self._settings,
            "faces": outcome.faces,
            "notes": outcome.notes,
        }


def describe(task: Task, result_bytes: int | None) -> dict[str, int | None]:
    """What a task's entry says of it and of its result."""
    size, time = task.seen[:2] if task.seen else (None, None)
    return dict(zip(DESCRIBED, (result_bytes, size, time), strict=True))


def tells_of(entry: Entry, task: Task, result_bytes: int) -> bool:
    """Whether an entry tells what became of this picture and of the result that is there.

    One without the number of faces or the notes does not: unknown is not none, and the picture is
    done again.
    """
    is_whole = isinstance(entry.get("faces"), int) and isinstance(entry.get("notes"), list)
    described = {name: entry.get(name) for name in DESCRIBED}
    return is_whole and described == describe(task, result_bytes)


def parse_lines(content: bytes | None) -> list[Entry]:
    """Entries of a file; lines that are none are left out."""
    return [entry for line in (content or b"").splitlines() if (entry := parse_line(line))]


def parse_line(line: bytes) -> Entry:
    """An entry; an empty one for a line that is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def outcome_of(task: Task, entry: Entry) -> Outcome:
    """What became of a task, as its entry tells."""
    notes = tuple(entry.get("notes", ()))
    parts = tuple((start, stop) for start, stop in entry.get("parts", ()))
    return Outcome(task, entry.get("faces", 0), notes, entry.get("error", ""), parts=parts)
