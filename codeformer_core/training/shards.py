"""Writing WebDataset shards: tar files in which `KEY.jpg` is a picture and `KEY.json` its notes."""

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from ..images import make_folder, writing_errors


class ShardWriter:
    """Writes samples into shards `faces-000000.tar`, each under its name only when complete.

    Args:
        folder: made if it is not there.
        limit: bytes; a shard is closed before it grows larger.

    Raises:
        PictureError: the folder cannot be made.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        make_folder(folder)
        self.folder, self.limit = folder, limit
        self._shards, self._bytes = 0, 0
        self._archive: tarfile.TarFile | None = None

    def add(self, key: str, files: dict[str, bytes]) -> None:
        """Add a sample: contents by suffix.

        Raises:
            PictureError: the shard cannot be written.
        """
        needed = sum(1024 + len(data) for data in files.values())
        if self._archive is not None and self._bytes + needed > self.limit:
            self._finish()
        with writing_errors(self._shard):
            if self._archive is None:
                self._archive = tarfile.open(self._part, "w")
            for suffix, data in files.items():
                about = tarfile.TarInfo(f"{key}.{suffix}")
                about.size = len(data)
                self._archive.addfile(about, io.BytesIO(data))
        self._bytes += needed

    @property
    def _shard(self) -> Path:
        return self.folder / f"faces-{self._shards:06d}.tar"

    @property
    def _part(self) -> Path:
        return self.folder / f".{self._shard.name}.part"

    def _finish(self) -> None:
        """Give the shard its name, now that all of it is on the disk.

        Raises:
            PictureError: the shard cannot be written.
        """
        if self._archive is None:
            return
        with writing_errors(self._shard):
            self._archive.close()
            with self._part.open("rb+") as part:
                os.fsync(part.fileno())
            self._part.replace(self._shard)
        self._archive, self._bytes = None, 0
        self._shards += 1

    def _discard(self) -> None:
        """Remove a shard that is not finished: half a shard is no shard."""
        if self._archive is None:
            return
        with suppress(OSError):  # on a full disk its end finds no room either
            self._archive.close()
        self._part.unlink(missing_ok=True)
        self._archive = None

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._discard()
