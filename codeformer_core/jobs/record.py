"""What runs have finished, kept beside their results so that a resumed run repeats nothing."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..images import writing_errors
from .plan import Task

NAME = ".codeformer-restore.jsonl"
"""Of the record in the output folder: a line a finished picture; a result's last one counts."""


@dataclass(frozen=True)
class Record:
    """The finished pictures of an output folder."""

    folder: Path
    """The output folder."""
    settings: str
    """All that changes results beside the pictures themselves."""

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.folder / NAME

    def unfinished(self, tasks: Sequence[Task]) -> list[Task]:
        """Those whose result is missing, or was made of another file or with other settings."""
        finished = self._read()
        return [task for task in tasks if not self._is_finished(task, finished)]

    def add(self, task: Task) -> None:
        """Note that a task's result is in place.

        Raises:
            PictureError: the record cannot be written.
        """
        # A line begins with its line break, so that one cut short by a crash spoils only itself.
        line = "\n" + json.dumps(self._describe(task))
        with writing_errors(self.path), self.path.open("ab", buffering=0) as stream:
            stream.write(line.encode())
            os.fsync(stream.fileno())

    def _is_finished(self, task: Task, finished: dict[str, Any]) -> bool:
        try:
            return finished.get(self._place(task)) == self._describe(task)
        except OSError:  # no result, or no picture: the run will say so
            return False

    def _describe(self, task: Task) -> dict[str, Any]:
        source, result = task.source.stat(), task.target.stat()
        return {
            "result": self._place(task),
            "result_bytes": result.st_size,
            "source_bytes": source.st_size,
            "source_time": source.st_mtime_ns,
            "settings": self.settings,
        }

    def _place(self, task: Task) -> str:
        return task.target.relative_to(self.folder).as_posix()

    def _read(self) -> dict[str, Any]:
        """The last entry of each result."""
        if not self.path.is_file():
            return {}
        entries = map(_parse, self.path.read_text("utf-8", errors="replace").splitlines())
        return {str(entry.get("result")): entry for entry in entries}


def _parse(line: str) -> dict[str, Any]:
    """An entry; nothing for a line that a crash cut short."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
