"""Files for every layer: a hash, and writing whole or not at all."""

import hashlib
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PART_SUFFIX = ".part"
"""Of a file that is being written."""


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, lower-case hex.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its name on success and vanishes otherwise.

    Raises:
        OSError: the folder is missing or not writable, or the disk is full.
    """
    part = path.with_name(f"{_part_prefix(path)}{uuid.uuid4().hex[:8]}{PART_SUFFIX}")
    try:
        part.touch()
        mode = part.stat().st_mode  # what writes there may leave a file only its owner can read
        yield part
        part.chmod(mode)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove what a killed process left of files that it was writing under these paths."""
    prefixes: dict[Path, set[str]] = {}
    for path in paths:
        prefixes.setdefault(path.parent, set()).add(_part_prefix(path))
    for folder, names in prefixes.items():
        for part in folder.glob(f".*{PART_SUFFIX}"):
            if f"{part.stem.rpartition('.')[0]}." in names:
                part.unlink(missing_ok=True)


def _part_prefix(path: Path) -> str:
    """How the unfinished file of a path begins: short, and another for every name."""
    return f".{path.name[:40]}.{zlib.crc32(os.fsencode(path.name)):08x}."
