"""Requests that try: only names of the catalogue, only from the host's own pages, only briefly."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import http.client
import importlib
import json
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

web = pytest.importorskip("aiohttp.web")
test_utils = pytest.importorskip("aiohttp.test_utils")

PATH = "/codeformer/downloads"
CANCEL = f"{PATH}/cancel"
"""Answers as the start does, and starts nothing: what is let through does no harm."""

NAME = "detection_mobilenet0.25_Final.pth"
NAMED = json.dumps({"name": NAME}).encode()
JSON = {"Content-Type": "application/json"}


def status(server: Any, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    """Status of a request whose path goes out exactly as it is given."""
    connection = http.client.HTTPConnection(server.address, timeout=60)
    try:
        connection.request(method, path, body, {**JSON, **headers})
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        return 413  # refused while it was still being sent
    finally:
        connection.close()


@pytest.fixture(autouse=True)
def nothing_is_written(server: Any) -> Iterator[None]:
    """No request of a test may leave a file anywhere among the models or above them."""

    def listed() -> set[Path]:
        return set(server.base.parent.glob("**/*.p[at]*"))

    before = listed()
    yield
    assert listed() == before


NAMES: list[Any] = [
    "",
    "evil.pth",
    "../evil.pth",
    "../../../../etc/passwd",
    "..\\..\\evil.pth",
    "/etc/passwd",
    "C:\\Windows\\evil.pth",
    "\\\\server\\share\\evil.pth",
    "%2e%2e%2fevil.pth",
    "..%2f" + NAME,
    f"facedetection/{NAME}",
    f"./{NAME}",
    f"{NAME}/",
    f"{NAME}\0",
    f"\0{NAME}",
    f" {NAME}",
    NAME.upper(),
    "download " + NAME,
    "http://127.0.0.1/evil.pth",
    "file:///etc/passwd",
    "built-in",
    "tiny.safetensors",
    "codeformer_colorization.pth",
    NAME + "\u202e",
    None,
    True,
    7,
    [NAME],
    {"name": NAME},
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_outside_of_the_catalogue_are_unknown(server: Any, name: Any) -> None:
    body = json.dumps({"name": name}).encode()
    assert status(server, "POST", PATH, body) == 404
    assert status(server, "POST", CANCEL, body) == 404


def test_nothing_but_the_name_is_read(server: Any) -> None:
    more = {"name": "evil.pth", "url": "http://127.0.0.1/", "folder": "/tmp", "sha256": "0"}
    assert status(server, "POST", PATH, json.dumps(more).encode()) == 404
    assert status(server, "POST", CANCEL, json.dumps({**more, "name": NAME}).encode()) == 200


BELOW = ["/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc", "/..\\..\\x"]
BELOW += [f"/{NAME}", "//etc/passwd", "/cancel/../../x", "/%00", "/cancel%00"]


@pytest.mark.parametrize("below", BELOW)
def test_paths_below_the_route_lead_nowhere(server: Any, below: str) -> None:
    for method in ("GET", "POST"):
        assert status(server, method, PATH + below, NAMED) in (400, 404, 405)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_refused(server: Any, method: str) -> None:
    assert status(server, method, PATH, NAMED) == 405
    assert status(server, method, CANCEL, NAMED) == 405


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "text/json"],
)
def test_what_a_foreign_page_may_post_unasked_is_refused(server: Any, kind: str) -> None:
    assert status(server, "POST", CANCEL, NAMED, **{"Content-Type": kind}) == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_other_sites_are_refused(server: Any, headers: dict[str, str]) -> None:
    assert status(server, "POST", PATH, NAMED, **headers) == 403
    assert status(server, "POST", CANCEL, NAMED, **headers) == 403


def test_the_hosts_own_pages_are_not(server: Any) -> None:
    own = {"Origin": f"http://{server.address}", "Sec-Fetch-Site": "same-origin"}
    assert status(server, "POST", CANCEL, NAMED, **own) == 200


@pytest.mark.parametrize(
    "body",
    [
        NAMED + b" " * 2_000_000,
        b'{"name": "' + b"x" * 2_000_000 + b'"}',
        b"[" * 2_000_000,
    ],
    ids=["padded", "long name", "deep"],
)
def test_huge_bodies_are_refused(server: Any, body: bytes) -> None:
    assert status(server, "POST", CANCEL, body) == 413


def test_announcing_more_than_the_limit_is_not_waited_for(server: Any) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.putrequest("POST", CANCEL)
    for key, value in {**JSON, "Content-Length": str(10**12)}.items():
        connection.putheader(key, value)
    connection.endheaders(b" " * 4096)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_in_pieces_is_one_body(server: Any) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.putrequest("POST", CANCEL)
    for key, value in {**JSON, "Content-Length": str(len(NAMED))}.items():
        connection.putheader(key, value)
    connection.endheaders(NAMED[:9])
    time.sleep(0.2)
    connection.send(NAMED[9:])
    assert connection.getresponse().status == 200
    connection.close()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"NaN", b"null", b"[" * 1000, b'"x"'])
def test_what_is_no_request_is_refused(server: Any, body: bytes) -> None:
    assert status(server, "POST", CANCEL, body) in (400, 404)


# ------------------------------------------------------------------------------------- many at once


class Downloads:
    """Stands in for the downloader: counts, and waits until it is let go."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.go = threading.Event()

    def __call__(self, file: Any, folder: Path, on_progress: Any, cancelled: Any) -> Path:
        self.started.append(file.name)
        assert self.go.wait(30)
        return folder / file.name


@contextlib.asynccontextmanager
async def _client(routes: Any) -> AsyncIterator[test_utils.TestClient]:
    application = web.Application()
    application.router.add_get(PATH, routes.list_files)
    application.router.add_post(PATH, routes.start)
    application.router.add_post(CANCEL, routes.cancel)
    async with test_utils.TestClient(test_utils.TestServer(application)) as client:
        yield client


async def _ask_at_once(routes: Any, downloads: Downloads, names: list[str]) -> list[str]:
    """States of all files after everybody asked for theirs at the same time."""
    async with _client(routes) as client:
        asked = await asyncio.gather(*(client.post(PATH, json={"name": name}) for name in names))
        assert {answer.status for answer in asked} == {202}
        downloads.go.set()
        while True:
            known = await (await client.get(PATH)).json()
            states = [file["state"] for file in known if file["name"] in names]
            if "running" not in states:
                return states
            await asyncio.sleep(0.02)


@pytest.fixture
def routes(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the routes, without the downloads of other tests."""
    module = importlib.import_module(f"{host.pack.__name__}.nodes.host.routes")
    monkeypatch.setattr(module, "_transfers", {})
    return module


def test_many_requests_for_one_file_are_one_download(
    host: SimpleNamespace, routes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = Downloads()
    monkeypatch.setattr(host.core("downloads.download"), "download", downloads)
    other = "codeformer.pth"
    states = asyncio.run(_ask_at_once(routes, downloads, [NAME, other] * 20))
    assert states == ["done", "done"]
    assert sorted(downloads.started) == sorted([NAME, other])


async def _until_it_ends(client: test_utils.TestClient) -> dict[str, Any]:
    """What is said of the file once its download has ended."""
    while True:
        (file,) = [file for file in await _listed(client) if file["name"] == NAME]
        if file["state"] != "running":
            return file
        await asyncio.sleep(0.02)


async def _listed(client: test_utils.TestClient) -> list[dict[str, Any]]:
    return await (await client.get(PATH)).json()


def test_an_error_nobody_expected_is_said_and_logged(
    host: SimpleNamespace,
    routes: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("a bug")

    async def ask() -> dict[str, Any]:
        async with _client(routes) as client:
            await client.post(PATH, json={"name": NAME})
            return await _until_it_ends(client)

    monkeypatch.setattr(host.core("downloads.download"), "download", broken)
    file = asyncio.run(ask())
    assert file["state"] == "failed"
    assert NAME in file["reason"] and "KeyError: 'a bug'" in file["reason"]
    assert "Traceback" in caplog.text and NAME in caplog.text


CONTENT = bytes(range(256)) * 40


class Stalling(BaseHTTPRequestHandler):
    """Sends a part of the first answer, then nothing until it is let go; the rest when asked."""

    go: threading.Event
    asked: list[str | None]

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.asked.append(asked)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start:5000])
        self.wfile.flush()
        if not asked:
            assert self.go.wait(30)
        with contextlib.suppress(OSError):  # the cancelled one has hung up
            self.wfile.write(CONTENT[max(start, 5000) :])

    def log_message(self, *_: Any) -> None:
        """Nothing: the log belongs to the tests."""


@pytest.fixture
def target() -> Iterator[Path]:
    """Where a real download goes: away from where no test may leave a file."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def stalling(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, target: Path
) -> Iterator[type[Stalling]]:
    """A server of the file that falls silent; its downloads go to `target`."""
    handler = type("Handler", (Stalling,), {"go": threading.Event(), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        routes = importlib.import_module(f"{host.pack.__name__}.nodes.host.routes")
        known = routes.known_downloads()
        (choices, file), *_ = [each for each in known if each[1].name == NAME]
        file = dataclasses.replace(
            file,
            urls=(f"http://127.0.0.1:{server.server_port}/{NAME}",),
            bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )
        monkeypatch.setattr(routes, "known_downloads", lambda: [(choices, file)])
        monkeypatch.setattr(type(choices), "folder_for", lambda choices, file: target)
        yield handler
        handler.go.set()
        server.shutdown()


async def _cancel_and_click_again(routes: Any, stalling: type[Stalling]) -> list[str]:
    """States after Cancel, after the second click, and at the end."""
    name = {"name": NAME}
    async with _client(routes) as client:
        await client.post(PATH, json=name)
        while not (await _listed(client))[0]["done"]:
            await asyncio.sleep(0.02)
        cancelled = await (await client.post(CANCEL, json=name)).json()
        again = await (await client.post(PATH, json=name)).json()
        await asyncio.sleep(0.3)
        assert len(stalling.asked) == 1, "two downloads of one file at once"
        stalling.go.set()
        end = await _until_it_ends(client)
    return [file["state"] for file in (cancelled, again, end)]


def test_a_click_after_cancel_takes_over_from_a_download_that_hangs(
    routes: Any, stalling: type[Stalling], target: Path
) -> None:
    states = asyncio.run(_cancel_and_click_again(routes, stalling))
    assert states == ["cancelled", "running", "done"]
    assert (target / NAME).read_bytes() == CONTENT
    assert None not in stalling.asked[1:], "what had arrived was fetched again"
