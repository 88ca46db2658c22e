"""Look through a .pth file before PyTorch opens it: is all that it claims really there?

The two formats, as PyTorch writes them: a zip archive of stored (not compressed) entries
`<root>/data.pkl` and `<root>/data/<key>` (since 1.6), or five pickles one after the other followed
by the raw storages (before).
"""

import io
import zipfile
from pathlib import Path

from ..errors import CheckpointError
from .pickled import MAX_PICKLE_BYTES, Contents, RefusedError, read_pickle

MAX_DIRECTORY_BYTES = 4 << 20
"""Longest list of entries of an archive; CodeFormer's has about 50 kB."""
LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""How a file of the format before PyTorch 1.6 begins: the pickled number 0x1950a86a20f9469cfc6c."""


def check_archive(path: Path) -> None:
    """Check a zip archive of PyTorch.

    Raises:
        RefusedError: damaged, compressed, a TorchScript program, or holding more than tensors.
    """
    try:
        with _ShortReads(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            entries = _entries(archive, path.stat().st_size)
            root = _root(entries)
            contents = read_pickle(io.BytesIO(archive.read(f"{root}/data.pkl")))
    except RefusedError:
        raise
    except Exception as error:  # zipfile raises nearly every type there is for a damaged archive
        raise RefusedError(f"the archive is damaged or incomplete ({error!s:.200})") from error
    for key, storage in contents.storages.items():
        if entries.get(f"{root}/data/{key}", -1) < storage.nbytes:
            raise RefusedError(f"the numbers of storage {key[:40]!r} are missing or cut off")
    _check_total(contents, path)


class _ShortReads(io.BufferedReader):
    """A file that refuses to read as much at once as no model's list of entries takes.

    `zipfile` reads that list whole, however long one of several records says it is.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise RefusedError("the archive's list of entries is larger than any model's")
        return super().read(size)


def _entries(archive: zipfile.ZipFile, file_bytes: int) -> dict[str, int]:
    """Bytes of every entry, when no entry can unpack to more than the file holds."""
    infos = archive.infolist()
    entries = {info.filename: info.file_size for info in infos}
    if len(entries) != len(infos):
        raise RefusedError("the archive has the same entry twice")
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise RefusedError("the archive is compressed, which PyTorch's own never are")
    if sum(entries.values()) > file_bytes:
        raise RefusedError("the archive claims to hold more than its own size")
    return entries


def _root(entries: dict[str, int]) -> str:
    roots = [name.removesuffix("/data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise RefusedError("it is a zip archive, but not one of PyTorch")
    if f"{roots[0]}/constants.pkl" in entries:
        raise RefusedError("it is a TorchScript program, not a file of weights")
    if entries[f"{roots[0]}/data.pkl"] > MAX_PICKLE_BYTES:
        raise RefusedError("its table of contents is larger than any model's")
    return roots[0]


def check_legacy(path: Path) -> None:
    """Check a file of the format before PyTorch 1.6.

    Raises:
        RefusedError: damaged, or holding more than tensors.
    """
    with path.open("rb") as stream:
        head = io.BytesIO(stream.read(MAX_PICKLE_BYTES))
    for _ in range(3):  # magic number, protocol version, facts about the machine
        read_pickle(head)
    contents, keys = read_pickle(head), read_pickle(head).value
    if keys != sorted(contents.storages):
        raise RefusedError("its list of storages does not match its tensors")
    # Each storage is an int64 count and the numbers.
    needed = sum(8 + storage.nbytes for storage in contents.storages.values())
    if head.tell() + needed > path.stat().st_size:
        raise RefusedError("it ends before its numbers do")
    _check_total(contents, path)


def _check_total(contents: Contents, path: Path) -> None:
    # Twice, because tied weights legitimately share their numbers.
    if contents.tensor_bytes > 2 * path.stat().st_size:
        raise RefusedError("its tensors claim more numbers than the file holds")


def refuse(path: Path, reason: str) -> CheckpointError:
    """The error for a file that is not what it should be."""
    return CheckpointError(
        f"{path.name}: {reason}. Download it again from where it was published; if you made it "
        "yourself, save only the state dict: torch.save(network.state_dict(), path)."
    )
