"""Which file becomes which: plan all results before the first one is written."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingError
from ..images import WRITABLE_SUFFIXES, readable_suffixes

FALLBACK_SUFFIX = ".png"
"""Of results whose own format cannot be written, such as GIF."""


@dataclass(frozen=True)
class Task:
    """One picture to restore."""

    source: Path
    """The picture as the user named it."""
    target: Path
    """Where its result goes."""


def plan_tasks(inputs: Sequence[Path], output: Path) -> list[Task]:
    """Plan one task a picture.

    A file keeps its name; the pictures of a folder keep their places below it. Two results of one
    name are told apart by a number. Results of an earlier run, in an output folder inside an input
    folder, are no inputs.

    Args:
        inputs: files and folders; a file is taken as it is, whether it exists or not.
        output: folder of the results; need not exist.

    Raises:
        SettingError: a folder holds no picture, or a result would replace an input.
    """
    tasks: dict[Path, Task] = {}
    taken: set[str] = set()
    for source, place in _sources(inputs, output):
        if source not in tasks:
            target = _free(output / place, taken)
            taken.add(_plain(target))
            tasks[source] = Task(source, target)
    _check_inputs_are_safe(list(tasks.values()))
    return list(tasks.values())


def _sources(inputs: Iterable[Path], output: Path) -> Iterator[tuple[Path, Path]]:
    """Every picture with the place of its result below the output folder."""
    for given in inputs:
        if not given.is_dir():
            yield given, _with_writable_suffix(Path(given.name))
            continue
        pictures = list(_pictures_below(given, output.resolve()))
        if not pictures:
            raise SettingError(f"{given}: there is no picture in this folder")
        for picture in pictures:
            yield picture, _with_writable_suffix(picture.relative_to(given))


def _pictures_below(folder: Path, output: Path) -> Iterator[Path]:
    """Pictures of a folder and its subfolders, in order, without hidden files and the output."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and Path(parent, name).resolve() != output
        )
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in readable_suffixes():
                yield Path(parent, name)


def _with_writable_suffix(place: Path) -> Path:
    known = place.suffix.lower() in WRITABLE_SUFFIXES
    return place if known else place.with_name(place.name + FALLBACK_SUFFIX)


def _free(target: Path, taken: set[str]) -> Path:
    """The target, numbered if its name is taken."""
    free, number = target, 2
    while _plain(free) in taken:
        free = target.with_stem(f"{target.stem}-{number}")
        number += 1
    return free


def _plain(path: Path) -> str:
    """A path as file systems compare it that know no upper and lower case."""
    return str(path).casefold()


def _check_inputs_are_safe(tasks: Sequence[Task]) -> None:
    inputs = {identity for task in tasks if (identity := _identity(task.source))}
    for task in tasks:
        if _identity(task.target) in inputs:
            raise SettingError(
                f"the result of {task.source} would replace the picture {task.target}: choose "
                "another output folder"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What stays the same of a file under all its names; None if it is not there."""
    try:
        status = path.resolve().stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
