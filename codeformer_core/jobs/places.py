"""What jobs do with files, on paths of this machine and on addresses alike."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..addresses import Address, Place, address_errors
from ..errors import CodeFormerError, PictureError
from ..images import atomic_write, make_folder

WHOLE_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "memory"})
"""Protocols whose uploads appear only when they are whole; others need a name to wait under."""
TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems call the time of a file's last change."""


class Status(NamedTuple):
    """What tells a file from what it was before."""

    bytes: int
    time: int
    """Of the last change, in nanoseconds."""
    identity: str
    """The same for all names of one file."""


def status(file: Place) -> Status | None:
    """What a file is now; None if it cannot be seen."""
    if isinstance(file, Address):
        try:
            return _status(file, file.files.info(str(file)))
        except FileNotFoundError:
            return None
    try:
        found = file.stat()
    except OSError:
        return None
    return Status(found.st_size, found.st_mtime_ns, f"{found.st_dev}:{found.st_ino}")


def _status(file: Address, info: dict[str, Any]) -> Status:
    time = next((info[name] for name in TIMES if name in info), 0)
    if isinstance(time, str):
        time = datetime.fromisoformat(time.replace("Z", "+00:00"))
    seconds = time.timestamp() if isinstance(time, datetime) else float(time)
    return Status(int(info.get("size") or 0), round(seconds * 1000) * 1_000_000, str(file))


def folder_contents(folder: Place) -> dict[str, Status]:
    """Files of a folder by their names; empty if there is no such folder."""
    if isinstance(folder, Path):
        folder = folder.resolve()  # through what is to be made first, such as `new/../photos`
        paths = folder.iterdir() if folder.is_dir() else ()
        found = {path.name: status(path) for path in paths if not path.is_dir()}
        return {name: seen for name, seen in found.items() if seen}
    try:
        infos = folder.files.ls(str(folder), detail=True)
    except FileNotFoundError:
        return {}
    files = [(PurePosixPath(info["name"]).name, info) for info in infos if info["type"] == "file"]
    return {name: _status(folder / name, info) for name, info in files}


def files_below(
    folder: Place, but: Place, unread: Callable[[OSError], None] | None = None
) -> Iterator[tuple[PurePosixPath, Status | None]]:
    """Files of a folder and its subfolders, in order, without hidden ones and one subfolder.

    Args:
        folder: the folder.
        but: the subfolder that is left out.
        unread: told of subfolders of this machine that cannot be searched.

    Yields:
        The place below the folder, and what the file is now.

    Raises:
        PictureError: an address cannot be searched.
    """
    if isinstance(folder, Path):
        yield from _below_path(folder, but, unread)
        return
    with address_errors(folder, "cannot be searched"):
        yield from _below_address(folder, but)


def _below_path(
    folder: Path, but: Place, unread: Callable[[OSError], None] | None
) -> Iterator[tuple[PurePosixPath, Status | None]]:
    left_out = but.resolve() if isinstance(but, Path) else None
    for parent, folders, files in os.walk(folder, onerror=unread):
        folders[:] = [name for name in _shown(folders) if Path(parent, name).resolve() != left_out]
        for path in (Path(parent, name) for name in _shown(files)):
            yield PurePosixPath(path.relative_to(folder).as_posix()), status(path)


def _below_address(folder: Address, but: Place) -> Iterator[tuple[PurePosixPath, Status | None]]:
    root = PurePosixPath(folder.files._strip_protocol(str(folder)))
    for parent, folders, files in folder.files.walk(str(folder), detail=True):
        below = PurePosixPath(parent).relative_to(root)
        shown = {n: folders[n] for n in _shown(folders) if folder / below / n != but}
        folders.clear()  # the walk leaves out the others, and keeps this order
        folders.update(shown)
        for name in _shown(files):
            yield below / name, _status(folder / below / name, files[name])


def _shown(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


@contextmanager
def fetched(file: Place) -> Iterator[Path]:
    """A path of this machine that holds what `file` holds.

    Raises:
        PictureError: it cannot be fetched.
    """
    if isinstance(file, Path):
        yield file
        return
    with _stand_in(file) as copy:
        with address_errors(file, "cannot be read"):
            file.files.get_file(str(file), str(copy))
        yield copy


@contextmanager
def delivered(file: Place) -> Iterator[Path]:
    """A path to write to, whole or not at all, what `file` shall hold.

    Raises:
        PictureError: it cannot be delivered.
    """
    if isinstance(file, Path):
        yield file
        return
    with _stand_in(file) as copy:
        yield copy
        with address_errors(file, "cannot be written"):
            _upload(copy, file)


@contextmanager
def _stand_in(file: Address) -> Iterator[Path]:
    """A path in a temporary folder, which errors call by the name of the file itself."""
    with tempfile.TemporaryDirectory(prefix="codeformer-") as folder:
        copy = Path(folder, file.name)
        try:
            yield copy
        except CodeFormerError as error:
            raise type(error)(str(error).replace(str(copy), str(file))) from error


def _upload(copy: Path, file: Address) -> None:
    if file.protocol in WHOLE_OBJECTS:
        file.files.put_file(str(copy), str(file))
        return
    part = str(file.with_name(f".{file.name}.part"))
    file.files.put_file(str(copy), part)
    file.files.mv(part, str(file))


def make_place(folder: Place) -> None:
    """Make a folder for results; an object store needs none.

    Raises:
        PictureError: it cannot be made.
    """
    if isinstance(folder, Path):
        make_folder(folder)
    elif folder.protocol not in WHOLE_OBJECTS:
        with address_errors(folder, "this folder cannot be made"):
            folder.files.makedirs(str(folder), exist_ok=True)


def read_bytes(file: Place) -> bytes | None:
    """What a small file holds; None if there is none.

    Raises:
        PictureError: it cannot be read.
    """
    try:
        if isinstance(file, Path):
            return file.read_bytes()
        return file.files.cat_file(str(file))
    except FileNotFoundError:
        return None
    except Exception as error:
        raise PictureError(f"{file}: cannot be read: {error}") from error


def write_bytes(file: Place, content: bytes) -> None:
    """Replace a small file, whole or not at all.

    Raises:
        DiskFullError: the disk is full.
        PictureError: it cannot be written.
    """
    with delivered(file) as path, atomic_write(path) as stream:
        stream.write(content)


def create(file: Address, content: bytes) -> bool:
    """Write a small file unless it is there; whether it was not.

    Raises:
        PictureError: it cannot be written.
    """
    with address_errors(file, "cannot be written"):
        try:
            file.files.pipe_file(str(file), content, mode="create")
        except FileExistsError:
            return False
    return True


def remove(file: Place) -> None:
    """Remove a file, if it is there."""
    if isinstance(file, Path):
        file.unlink(missing_ok=True)
        return
    with address_errors(file, "cannot be removed"):
        if file.files.exists(str(file)):
            file.files.rm_file(str(file))
