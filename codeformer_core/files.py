"""Files for every layer: a hash, writing whole or not at all, data of installed packages."""

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path


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
    part = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex[:8]}.part")
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


def package_file(package: str, name: str) -> Path | None:
    """A data file of an installed package, which is located but never imported.

    Args:
        package: as it would be imported.
        name: path of the file below the package's folder.
    """
    spec = find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or ()
    paths = (Path(folder) / name for folder in folders)
    return next((path for path in paths if path.is_file()), None)
