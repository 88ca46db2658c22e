"""Download a known file: resumed, checked, and under its own name only when it is whole.

Bytes go to `<name>.part` beside the target. Only when length and hash are right is it renamed, in
one step. A cut connection, a full disk, a killed process or a lying server leave at most the
`.part`, from which the next try goes on. Nothing is ever downloaded without a call of `download`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import CodeFormerError, DownloadError
from ..files import file_sha256
from .catalogue import KnownFile
from .lock import locked
from .transfer import Transfer

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, None if unknown."""
Check = Callable[[Path], None]
"""Raises a CodeFormerError if a file is not what it should be."""


class DownloadCancelledError(DownloadError):
    """The caller asked to stop; what has arrived is kept for the next try."""


def download(
    known_file: KnownFile,
    folder: str | Path,
    on_progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    *,
    check: Check | None = None,
) -> Path:
    """Download a known file into a folder, or find it there.

    Two downloads of the same file wait for each other; the second finds the first one's result.

    Args:
        known_file: from the catalogue.
        folder: made if it is not there.
        on_progress: called with (bytes there, bytes in all or None) after every block.
        cancelled: asked after every block; True stops and keeps what has arrived.
        check: looks at a file nobody published a hash of and raises a CodeFormerError if it is not
            what it should be; None refuses such files. Show the user `file_sha256` of it.

    Returns:
        The path of the whole, checked file.

    Raises:
        DownloadCancelledError: `cancelled` returned True.
        DownloadError: no hash and not allowed, a server that fails or lies, a full disk, another
            file in the way; the message names the file and the remedy.
    """
    job = _Job(known_file, Path(folder), on_progress, cancelled or (lambda: False), check)
    if known_file.sha256 is None and check is None:
        raise DownloadError(
            f"{job.name}: nobody published its hash, so it cannot be checked. Allow that "
            f"explicitly, or fetch {' or '.join(known_file.urls)} yourself into {folder}"
        )
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked(job.folder / f".{job.name}.lock", job.check_cancelled):
            return job.run()
    except OSError as error:
        raise DownloadError(
            f"{job.name}: cannot be written to {job.folder} ({error}); check permissions and free "
            "space, then try again: what has arrived is kept"
        ) from error


@dataclass(frozen=True)
class _Job:
    """One file on its way into one folder."""

    file: KnownFile
    folder: Path
    on_progress: Progress | None
    cancelled: Callable[[], bool]
    check: Check | None

    @property
    def name(self) -> str:
        """The file name, refused if it could lead out of the folder."""
        name = self.file.name
        if not name.strip(". ") or any(character in name for character in "/\\:\0"):
            raise DownloadError(f"{name!r} is not a plain file name")
        return name

    @property
    def target(self) -> Path:
        """Where the whole file goes."""
        return self.folder / self.name

    @property
    def part(self) -> Path:
        """Where it grows."""
        return self.folder / f"{self.name}.part"

    def run(self) -> Path:
        """Find the file, or try its addresses in turn."""
        if self.target.exists():
            return self._existing()
        failures: list[str] = []
        for url in self.file.urls:
            try:
                self._fetch(url)
            except DownloadCancelledError:
                raise
            except DownloadError as error:
                failures.append(f"{url}: {error}")
            else:
                os.replace(self.part, self.target)
                return self.target
        raise DownloadError(f"{self.name}: not downloaded. {'; '.join(failures)}")

    def check_cancelled(self) -> None:
        """Stop if the caller wants to.

        Raises:
            DownloadCancelledError: the caller does.
        """
        if self.cancelled():
            raise DownloadCancelledError(f"{self.name}: cancelled; what has arrived is kept")

    def _existing(self) -> Path:
        if self.file.sha256 and file_sha256(self.target) != self.file.sha256:
            raise DownloadError(
                f"{self.target}: exists, but is not the published file, and is left as it is. "
                "Move it away to download the published one"
            )
        return self.target

    def _fetch(self, url: str) -> None:
        """Bring the part to its end and check it; if it began in an earlier try, once afresh."""
        resumed = self.part.exists()
        try:
            self._transfer(url)
        except _WrongContentError:
            if not resumed:
                raise
            self._transfer(url)

    def _transfer(self, url: str) -> None:
        Transfer(url, self.part, self.file.bytes, self._step).run()
        wrong = self._what_is_wrong()
        if wrong:
            self.part.unlink()
            raise _WrongContentError(wrong)

    def _step(self, there: int, total: int | None) -> None:
        self.check_cancelled()
        if self.on_progress:
            self.on_progress(there, total)

    def _what_is_wrong(self) -> str | None:
        """What is wrong with the whole part: its hash or, where none is published, its content."""
        if self.file.sha256:
            sha256 = file_sha256(self.part)
            if sha256 == self.file.sha256:
                return None
            return f"its SHA-256 is {sha256}, the published one {self.file.sha256}; it was dropped"
        try:
            if self.check is not None:
                self.check(self.part)
        except CodeFormerError as error:
            return f"{error}; it was dropped"
        return None


class _WrongContentError(DownloadError):
    """All bytes came, but they are not the file's."""
