"""Which file becomes which: plan all results before the first one is written."""

import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath

from ..addresses import Place, place
from ..errors import SettingError
from ..files import PART_SUFFIX, remove_leftovers
from ..images import WRITABLE_SUFFIXES, format_of, readable_suffixes
from ..video.names import is_video, result_suffix
from .left_out import LeftOut
from .places import Status, files_below, folder_contents, status

FALLBACK_SUFFIX = ".png"
"""Of results whose own format cannot be written, such as GIF."""
FALLBACK_SUFFIXES = {".mpo": ".jpg"}
"""Of some of them another, which keeps their pixels."""
LARGEST_BLOCK = 256
"""Pictures of one block: the more, the fewer blocks of a large job."""
BLOCKS_LEFT = 100
"""In how many blocks what is left would be cut at any time: small ones at the end, so that no
worker has much to do when the others have nothing."""

Frames = tuple[int, int]
JOIN: Frames = (0, 0)
"""No frames: the parts of a video are there, and shall become one."""

TABLE = """
PRAGMA journal_mode = OFF;
CREATE TABLE tasks (
    number INTEGER PRIMARY KEY, source BLOB UNIQUE, bytes INTEGER, time INTEGER, identity TEXT,
    result BLOB, folder BLOB, plain BLOB UNIQUE, waiting INTEGER DEFAULT 1);
CREATE INDEX identities ON tasks (identity);
"""
INSERT = """
INSERT INTO tasks (source, bytes, time, identity, result, folder, plain)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True)
class Task:
    """One picture to restore."""

    source: Place
    """The picture as the user named it."""
    output: Place
    """Folder of the results."""
    result: str
    """Place of this one below it, such as ``2020/a.jpg``."""
    seen: Status | None = None
    """The picture when the job was planned; None if it could not be seen."""
    frames: Frames | None = None
    """Of a long video that several work on: the first of them, and the one after the last; `JOIN`
    at the end. None for all that there is to do."""

    @property
    def is_part(self) -> bool:
        """Whether it gives no result, but a part of one."""
        return self.frames not in (None, JOIN)

    @property
    def target(self) -> Place:
        """Where the result goes."""
        return self.output / self.result


@dataclass(frozen=True)
class Block:
    """Some tasks of a job that one worker does in order."""

    number: int
    tasks: tuple[Task, ...]


class Plan:
    """The pictures of a job and their results, in a database that goes to disk when it is large.

    One task a picture: a file keeps its name, the pictures of a folder keep their places below it.
    Two results of one name are told apart by a number. Results of an earlier run, in an output
    folder inside an input folder, are no inputs.
    """

    def __init__(self, inputs: Sequence[Place], output: Place, suffix: str = "") -> None:
        """Plan a job.

        Args:
            inputs: files and folders; a file is taken as it is, whether it exists or not.
            output: folder of the results; need not exist.
            suffix: of all results, such as ".png"; each keeps its own if left out.

        Raises:
            PictureError: an address cannot be searched.
            SettingError: a folder holds no picture, or a result would replace an input.
        """
        self.output = output
        self.left_out = LeftOut()
        """Files of folders that are no input."""
        self.videos = 0
        """Tasks that are videos."""
        self._tasks = sqlite3.connect("")  # a temporary file, which a small job never fills
        self._tasks.executescript(TABLE)
        for source, name, seen in _sources(inputs, output, self.left_out):
            self._add(source, result_name(name, suffix), seen)
        self._check_inputs_are_safe()

    def __len__(self) -> int:
        """Tasks in all."""
        return self._number("SELECT COUNT(*) FROM tasks")

    @property
    def waiting(self) -> int:
        """Tasks that are not left out."""
        return self._number("SELECT COUNT(*) FROM tasks WHERE waiting")

    def __iter__(self) -> Iterator[Task]:
        """Tasks that are not left out, in order."""
        return self._waiting("number")

    def blocks(self) -> Iterator[Block]:
        """The same in blocks: large ones first."""
        tasks, left, number = iter(self), self.waiting, 0
        while left:
            block = Block(number, tuple(islice(tasks, block_size(left))))
            left, number = left - len(block.tasks), number + 1
            yield block

    def by_folder(self) -> Iterator[tuple[Place, Iterator[Task]]]:
        """Tasks that are not left out by the folder of their results, each before the next one."""
        tasks = self._waiting("folder, number")
        return groupby(tasks, key=lambda task: task.target.parent)

    def leave_out(self, task: Task) -> None:
        """Leave out a task from now on."""
        source = (_stored(task.source),)
        self._tasks.execute("UPDATE tasks SET waiting = 0 WHERE source = ?", source)

    def remove_leftovers(self) -> None:
        """Remove what a killed run left of results that it was writing."""
        for folder, tasks in self.by_folder():
            if isinstance(folder, Path) and any(folder.glob(f".*{PART_SUFFIX}")):
                remove_leftovers(folder / PurePosixPath(task.result).name for task in tasks)

    def _add(self, source: Place, result: PurePosixPath, seen: Status | None) -> None:
        free, number = result, 2
        while not self._insert(source, free, seen) and not self._is_input(source):
            free = result.with_stem(f"{result.stem}-{number}")
            number += 1

    def _insert(self, source: Place, result: PurePosixPath, seen: Status | None) -> bool:
        """Whether neither the picture nor the name of its result was there before."""
        names = (result, result.parent, str(result).casefold())
        row = (_stored(source), *(seen or (None, None, None)), *map(_stored, names))
        try:
            self._tasks.execute(INSERT, row)
        except sqlite3.IntegrityError:
            return False
        self.videos += is_video(result)
        return True

    def _is_input(self, source: Place) -> bool:
        return self._number("SELECT COUNT(*) FROM tasks WHERE source = ?", _stored(source)) > 0

    def _check_inputs_are_safe(self) -> None:
        known = "SELECT COUNT(*) FROM tasks WHERE identity = ?"
        for folder, tasks in self.by_folder():
            there = folder_contents(folder)
            for task in tasks:
                found = there.get(task.target.name)
                if found and self._number(known, found.identity):
                    raise SettingError(
                        f"the result of {task.source} would replace the picture {task.target}: "
                        "choose another output folder"
                    )

    def _waiting(self, order: str) -> Iterator[Task]:
        columns = "source, result, bytes, time, identity"
        query = f"SELECT {columns} FROM tasks WHERE waiting ORDER BY {order}"
        for source, result, *seen in self._tasks.execute(query):
            status = None if seen[0] is None else Status(*seen)
            yield Task(place(os.fsdecode(source)), self.output, os.fsdecode(result), status)

    def _number(self, query: str, *values: bytes | str) -> int:
        return self._tasks.execute(query, values).fetchone()[0]


def block_size(left: int) -> int:
    """How many of the tasks that are left make the next block."""
    return min(LARGEST_BLOCK, math.ceil(left / BLOCKS_LEFT))


def _sources(
    inputs: Iterable[Place], output: Place, left_out: LeftOut
) -> Iterator[tuple[Place, PurePosixPath, Status | None]]:
    """Every picture with its place below what was given, and its status."""
    for given in inputs:
        if not given.is_dir():
            yield given, PurePosixPath(given.name), status(given)
            continue
        empty = True
        for below, seen in files_below(given, output, left_out.add_folder):
            if below.suffix.lower() in readable_suffixes() or is_video(below):
                empty = False
                yield given / below, below, seen
            else:
                left_out.add(below)
        if empty:
            words = "; ".join(["there is no picture or video in this folder", *left_out.lines()])
            raise SettingError(f"{given}: {words}")


def result_name(name: PurePosixPath, suffix: str = "") -> PurePosixPath:
    """What the result of a picture or video is called: as itself, if that can be written.

    Args:
        name: of the picture.
        suffix: of pictures' results; another name of the same format stays.
    """
    own = name.suffix.lower()
    if is_video(name):
        return name.with_suffix(result_suffix(name))
    if suffix:
        same = own in WRITABLE_SUFFIXES and format_of(Path(name)) == format_of(Path(f"a{suffix}"))
        return name if same else name.with_suffix(suffix)
    if own in WRITABLE_SUFFIXES:
        return name
    return name.with_name(name.name + FALLBACK_SUFFIXES.get(own, FALLBACK_SUFFIX))


def _stored(name: Place | PurePosixPath | str) -> bytes:
    """A name that need not be Unicode."""
    return os.fsencode(str(name))
