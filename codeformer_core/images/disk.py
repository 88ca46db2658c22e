"""Putting results on a disk: whole or not at all, and in the user's words where that fails."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import PictureError
from ..files import written_whole

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What the system answers when a disk, or the user's share of it, is full."""


class DiskFullError(PictureError):
    """There is no room for a result; none of those that follow will find any either."""


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its name on success and vanishes otherwise.

    Raises:
        DiskFullError: the disk is full.
        PictureError: the folder is missing or not writable.
    """
    with writing_errors(path), written_whole(path) as part, part.open("wb") as file:
        yield file


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while `path` is written into an error for the user.

    Raises:
        DiskFullError: the disk is full.
        PictureError: anything else.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in NO_ROOM else PictureError
        raise kind(f"{path}: cannot be written: {_cause(error)}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        PictureError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: this folder cannot be made: {error.strerror}") from error


def _cause(error: OSError) -> str:
    if error.errno in NO_ROOM:
        return "the disk is full"
    if error.errno == errno.ENOENT:
        return "its folder does not exist"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there"
    return error.strerror or str(error)
