"""A server that misbehaves on purpose."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class Server:
    """A local HTTP server whose next answers the test chooses."""

    address: str
    content: bytes = b""
    answers: list[Answer] = field(default_factory=list)
    """Used one after the other; a well-behaved answer follows when none is left."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of every request so far."""

    @property
    def url(self) -> str:
        return f"{self.address}/model.pth"


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what these tests are about."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serves `server.content`, with ranges, unless `server.answers` says otherwise."""
    monkeypatch.setenv("no_proxy", "*")
    state = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.ranges.append(self.headers["Range"])
            answer = state.answers.pop(0) if state.answers else serve
            answer(self, state.content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with _QuietServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        state.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def serve(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    """A good server: whole file, or what follows the asked byte, or 416 after its end."""
    wanted = handler.headers["Range"]
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
    if wanted and start >= len(content):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(content)}")
        handler.end_headers()
        return
    handler.send_response(206 if wanted else 200)
    if wanted:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:])
