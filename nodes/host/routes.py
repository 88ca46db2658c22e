"""The server routes behind the loaders' Download button.

A client names a file of the catalogue and nothing else: addresses, hashes and folders are ours and
the host's. The host refuses requests from other sites; we also want JSON, which a foreign page
cannot post without being asked first, and refuse what the browser itself calls cross-site.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..choices import Choices, known_downloads
from .messages import log, server

if TYPE_CHECKING:
    from ...codeformer_core.downloads.catalogue import KnownFile

PATH = "/codeformer/downloads"
"""GET tells about all files, POST starts one, POST to `/cancel` below it stops one."""

LONGEST_BODY = 1024
"""Bytes of a request: a name and its wrapping."""


@dataclass
class Transfer:
    """A download and how far it is."""

    state: str = "running"
    """running, done, cancelled or failed."""
    done: int = 0
    reason: str = ""
    """Why it failed, in the user's words."""
    cancel: threading.Event = field(default_factory=threading.Event)


_transfers: dict[str, Transfer] = {}
_lock = threading.Lock()


def register() -> None:
    """Add the routes to a running server; outside of one there is nothing to add them to."""
    running = server()
    if running is None:
        return
    running.routes.get(PATH)(list_files)
    running.routes.post(PATH)(start)
    running.routes.post(f"{PATH}/cancel")(cancel)


async def list_files(request: web.Request) -> web.Response:
    """Tell about every file that can be downloaded."""
    return web.json_response([_described(choices, file) for choices, file in known_downloads()])


async def start(request: web.Request) -> web.Response:
    """Start a download, or find it running."""
    choices, file = await _requested(request)
    with _lock:
        running = _transfers.get(file.name)
        if running is None or running.state != "running":
            transfer = _transfers[file.name] = Transfer()
            arguments = (choices, file, transfer)
            threading.Thread(target=_run, args=arguments, name=PATH, daemon=True).start()
    return web.json_response(_described(choices, file), status=202)


async def cancel(request: web.Request) -> web.Response:
    """Stop a download; what has arrived is kept for the next try."""
    choices, file = await _requested(request)
    with _lock:
        transfer = _transfers.get(file.name)
        if transfer is not None and transfer.state == "running":
            transfer.cancel.set()
            # Its thread may wait for the server for a while. A new click need not wait with it:
            # the download it starts takes over as soon as the old one lets the file go.
            transfer.state = "cancelled"
    return web.json_response(_described(choices, file))


async def _requested(request: web.Request) -> tuple[Choices, KnownFile]:
    """The file a request names.

    Raises:
        web.HTTPException: another site asks, it is no short JSON, or no such file is known.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="only ComfyUI's own pages may ask for downloads")
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send JSON")
    try:
        asked = json.loads(await _short_body(request))
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="send JSON") from None
    name = asked.get("name") if isinstance(asked, dict) else None
    for choices, file in known_downloads():
        if file.name == name:
            return choices, file
    raise web.HTTPNotFound(text="no such file is in the catalogue")


async def _short_body(request: web.Request) -> bytes:
    """The whole body, which may come in pieces; nothing beyond the limit is read.

    Raises:
        web.HTTPRequestEntityTooLarge: it is longer than a name can make it.
    """
    body = b""
    while piece := await request.content.read(LONGEST_BODY + 1 - len(body)):
        body += piece
        if len(body) > LONGEST_BODY:
            raise web.HTTPRequestEntityTooLarge(LONGEST_BODY, len(body))
    return body


def _described(choices: Choices, file: KnownFile) -> dict[str, Any]:
    transfer = _transfers.get(file.name)
    return {
        "name": file.name,
        "aliases": list(file.aliases),
        "bytes": file.bytes,
        "licence": file.licence,
        "here": choices.is_here(file),
        "state": None if transfer is None else transfer.state,
        "done": 0 if transfer is None else transfer.done,
        "reason": "" if transfer is None else transfer.reason,
    }


def _run(choices: Choices, file: KnownFile, transfer: Transfer) -> None:
    """Download in a thread of its own."""
    from ...codeformer_core.downloads.download import DownloadCancelledError, download
    from ...codeformer_core.errors import CodeFormerError

    def progress(done: int, total: int | None) -> None:
        transfer.done = done

    # The thread's boundary: an error nobody expected must also end what the button shows.
    outcome = "failed"
    try:
        download(file, choices.folder_for(file), progress, transfer.cancel.is_set)
        outcome = "done"
    except DownloadCancelledError:
        outcome = "cancelled"
    except CodeFormerError as error:
        transfer.reason = str(error)
    except Exception as error:
        log.exception("%s: the download failed", file.name)
        transfer.reason = (
            f"{file.name}: unexpected error: {type(error).__name__}: {error}; the host's log says "
            "where. Try again: what has arrived is kept"
        )
    finally:
        with _lock:
            transfer.state = outcome
