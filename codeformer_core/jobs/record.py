"""What is finished, kept beside the results, so that a resumed job repeats nothing.

A run keeps a small file for every block of pictures and replaces it, whole, after each of them: no
two processes ever write the same file, none is half written, and an object store will do. When the
run ends, or the next one begins, its files are joined to one. No engine is mentioned in them, so
any engine goes on with what another one left.
"""

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from ..addresses import Place
from ..images import atomic_write
from .notes import BlockNotes, Entry, outcome_of, parse_line, tells_of
from .outcome import Outcome
from .places import delivered, fetched, folder_contents, read_bytes, remove
from .plan import Block, Plan

NAME = ".codeformer-restore"
"""Of the folder in the output folder."""
SUFFIX = ".jsonl"
"""Of its files: `000007.jsonl` of a run that is over, `000007-000012.jsonl` of a block of one that
is not. A line is a picture; of several lines for a result, that of the last run counts."""
FILE = re.compile(r"\d{6}(-\d{6})?\.jsonl")
STARTS = "-start-"
"""In names of what workers leave there for a run only: `000007-start-ready`."""


@dataclass(frozen=True)
class Run:
    """One go at a job; what its workers need to note what they finish."""

    folder: Place
    number: int
    settings: str
    """All that changes results beside the pictures themselves."""

    def notes(self, block: Block) -> BlockNotes:
        """Those of a block, with what an earlier worker noted who did not get to its end."""
        path = self.folder / f"{self.number:06}-{block.number:06}{SUFFIX}"
        return BlockNotes(path, block, self.settings)


@dataclass(frozen=True)
class Record:
    """The finished pictures of an output folder."""

    output: Place
    settings: str
    """All that changes results beside the pictures themselves."""

    @property
    def folder(self) -> Place:
        """Where the files of all runs are."""
        return self.output / NAME

    def begin(self) -> Run:
        """A new run; what earlier ones left in pieces is joined.

        Raises:
            PictureError: the record cannot be read or written.
        """
        self.join()
        return Run(self.folder, max(map(_run, self._files()), default=0) + 1, self.settings)

    def join(self) -> None:
        """Make one file of the blocks of each run; killed meanwhile, it leaves entries doubled.

        Raises:
            PictureError: the record cannot be read or written; nothing is lost by that.
        """
        for run, files in groupby(self._files(), key=_run):
            whole, pieces = f"{run:06}{SUFFIX}", [name for name in files if "-" in name]
            if not pieces:
                continue
            with delivered(self.folder / whole) as path, atomic_write(path) as stream:
                for name in (whole, *pieces):
                    stream.write(read_bytes(self.folder / name) or b"")
            for name in pieces:
                remove(self.folder / name)
        for name in folder_contents(self.folder):
            if STARTS in name:
                remove(self.folder / name)

    def finished(self, plan: Plan) -> Iterator[Outcome]:
        """What became of pictures whose result is there.

        Made of the very picture and with the same settings; what was noted of it then still holds.
        """
        entries = _Entries(self.settings)
        for name in self._files():
            with fetched(self.folder / name) as path, path.open("rb") as lines:
                entries.add(map(parse_line, lines))
        for folder, tasks in plan.by_folder():
            there = folder_contents(folder)
            for task in tasks:
                result, entry = there.get(task.target.name), entries.get(task.result)
                if result and tells_of(entry, task, result.bytes):
                    yield outcome_of(task, entry)

    def _files(self) -> list[str]:
        """Names in order of runs, and of blocks."""
        return sorted(filter(FILE.fullmatch, folder_contents(self.folder)))


class _Entries:
    """The last entry of each result, in a database that goes to disk when it is large."""

    def __init__(self, settings: str) -> None:
        self._settings = settings
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE entries (result BLOB PRIMARY KEY, entry TEXT)")

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries that are later than all before; one of other settings counts for nothing."""
        rows = ((_key(entry.get("result")), self._counting(entry)) for entry in entries)
        self._database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", rows)

    def get(self, result: str) -> Entry:
        """That of a finished result; an empty one if it is not finished."""
        query = "SELECT entry FROM entries WHERE result = ?"
        found = self._database.execute(query, (_key(result),)).fetchone()
        return json.loads(found[0]) if found else {}

    def _counting(self, entry: Entry) -> str:
        return json.dumps(entry if entry.get("settings") == self._settings else {})


def _run(name: str) -> int:
    return int(name[:6])


def _key(result: object) -> bytes:
    return os.fsencode(str(result))
