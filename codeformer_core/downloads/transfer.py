"""Bring one address into one file over HTTP: resumed, bounded, and never silent for long.

Only loops, limits and error words of HTTP are here; what the bytes should be is `download`'s.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import DownloadError

TIMEOUT_SECONDS = 20.0
"""Longest silence of a server."""
SLOW_SECONDS = 60.0
"""Time in which at least `SLOW_BYTES` must arrive."""
SLOW_BYTES = 20_000
"""A trickle below this counts as a stall."""
ATTEMPTS = 4
"""Tries of an address, each going on where the last one stopped."""
WAIT_SECONDS = 0.5
"""Pause before the second try; it doubles with every further one."""
MAX_BYTES = 2 << 30
"""Longest file taken where no length is published."""
BLOCK_BYTES = 1 << 18
"""Most bytes taken at once; progress and cancelling come once a block."""
TRUSTED_HOSTS = ("github.com", "githubusercontent.com", "huggingface.co", "hf.co")
"""Hosts, with their subdomains, that a published address may forward to."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that need no encryption."""

Step = Callable[[int, int | None], None]
"""Called with the bytes there and the bytes in all (None if unknown); may raise to stop."""


class InterruptedTransferError(Exception):
    """The connection broke or the server is busy; another try may go on."""


@dataclass(frozen=True)
class Transfer:
    """An address on its way into a file."""

    url: str
    part: Path
    """The file that grows; what is in it already is not fetched again."""
    expected_bytes: int | None
    """Length of the whole file, if known."""
    on_step: Step
    """Called after every block."""

    def run(self) -> None:
        """Bring the part to its full length, going on after broken connections.

        Raises:
            DownloadError: the address is refused, the server fails or lies, the disk is too small.
            OSError: the part cannot be written.
        """
        check_address(self.url, self.url)
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
            try:
                return self._try()
            except InterruptedTransferError as error:
                reason = str(error)
        raise DownloadError(f"{reason} ({ATTEMPTS} tries); try again later, what came is kept")

    def _try(self) -> None:
        there = self._there()
        self.on_step(there, self.expected_bytes)
        if there and there == self.expected_bytes:
            return
        with _opened(self.url, there) as response:
            if response.status == 416:
                return self._check_past_end(response, there)
            start = there if response.status == 206 else 0
            total = self._total(response, start)
            self._check_space(total - start)
            self._receive(response, start, total)

    def _there(self) -> int:
        """Bytes of the part that can be kept."""
        if not self.part.exists():
            return 0
        there = self.part.stat().st_size
        if there > (self.expected_bytes or MAX_BYTES):
            self.part.unlink()
            return 0
        return there

    def _check_past_end(self, response: HTTPResponse, there: int) -> None:
        """The server has nothing after the part: it is whole, or it is of another file."""
        if self.expected_bytes is None and response.headers["Content-Range"] == f"bytes */{there}":
            return
        self.part.unlink()
        raise InterruptedTransferError("the server has another file than the one begun")

    def _total(self, response: HTTPResponse, start: int) -> int:
        """Bytes of the whole file: what the server says must agree with what is published."""
        begins = response.headers["Content-Range"] or ""
        if start and not begins.startswith(f"bytes {start}-"):
            self.part.unlink()
            raise InterruptedTransferError("the server went on at the wrong place")
        length = response.headers["Content-Length"] or ""
        total = start + int(length) if length.isdecimal() and len(length) < 16 else None
        if total is None and self.expected_bytes is None:
            raise DownloadError("the server does not say how long the file is")
        if total is not None and total != (self.expected_bytes or total):
            raise DownloadError(f"the server has {total:,} bytes, not {self.expected_bytes:,}")
        if (total or 0) > MAX_BYTES:
            raise DownloadError(f"the server offers {total:,} bytes, more than any model")
        return total or self.expected_bytes or 0

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise DownloadError(
                f"{self.part.parent} has {free / 1e6:,.0f} MB free, but {needed / 1e6:,.0f} MB "
                "are needed; make room or choose another folder"
            )

    def _receive(self, response: HTTPResponse, start: int, total: int) -> None:
        there, pace = start, _Pace()
        with _open_part(self.part, start) as stream:
            while block := _read(response):
                there += len(block)
                if there > total:
                    raise DownloadError(f"the server sends more than the {total:,} bytes it has")
                stream.write(block)
                self.on_step(there, total)
                pace.check(len(block))
            stream.flush()
            os.fsync(stream.fileno())
        if there < total:
            raise InterruptedTransferError(
                f"the connection ended after {there:,} of {total:,} bytes"
            )


class _Pace:
    """Notices a server that sends just enough not to be silent."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._received = 0

    def check(self, count: int) -> None:
        self._received += count
        now = time.monotonic()
        if now - self._since < SLOW_SECONDS:
            return
        if self._received < SLOW_BYTES:
            raise InterruptedTransferError("the server sends next to nothing")
        self._since, self._received = now, 0


class _CheckedRedirects(HTTPRedirectHandler):
    """Follows only to where a published address may lead."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        check_address(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # pyright: ignore


def check_address(url: str, origin: str) -> None:
    """Refuse an address that is not encrypted or not where `origin` may forward to.

    Raises:
        DownloadError: naming the host.
    """
    parts, host = urlsplit(url), urlsplit(url).hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise DownloadError(f"{url[:200]!r} is no https address")
    trusted = host == urlsplit(origin).hostname or any(
        host == known or host.endswith("." + known) for known in TRUSTED_HOSTS
    )
    if not trusted:
        raise DownloadError(f"the server forwards to {host[:100]!r}, which is not trusted")


def _opened(url: str, there: int) -> HTTPResponse:
    """Ask for what follows the bytes that are there.

    Raises:
        InterruptedTransferError: no connection, or the server is busy.
        DownloadError: the server says no.
    """
    headers = {"User-Agent": "codeformer-core", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    opener = build_opener(_CheckedRedirects)
    try:
        return opener.open(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        return _refusal(error, there)
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise InterruptedTransferError(
            f"no connection: {getattr(error, 'reason', error)}"
        ) from error


def _refusal(error: HTTPError, there: int) -> HTTPResponse:
    if error.code == 416 and there:
        return error  # pyright: ignore[reportReturnType]
    words = f"the server answers {error.code} {error.reason}"
    error.close()
    if error.code >= 500 or error.code in (408, 429):
        raise InterruptedTransferError(words)
    raise DownloadError(words)


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK_BYTES)
    except (HTTPException, OSError, ValueError) as error:
        raise InterruptedTransferError(
            f"the connection broke ({error or type(error).__name__})"
        ) from error


def _open_part(part: Path, start: int) -> IO[bytes]:
    """The part, cut to its first `start` bytes and open at its end; a link is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    stream = os.fdopen(os.open(part, flags, 0o644), "wb")
    stream.truncate(start)
    stream.seek(start)
    return stream
