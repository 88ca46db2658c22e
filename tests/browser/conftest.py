"""A real Chromium on a real ComfyUI, in both renderers of two frontends.

All tests run on the frontend of the `test` extra unless they are marked with others. Screenshots to
look at are kept in the folder that `CODEFORMER_SCREENSHOTS` names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
REQUIRED = "CODEFORMER_REQUIRE_BROWSER"
"""Set where a missing browser must be a failure."""

LIMIT = 400
"""Seconds after which a test's browser hangs rather than works; the slowest here took 180."""

LOST = ["has been closed", "Connection closed"]
"""Patterns of what Playwright says of a killed browser."""

INSTALLED = "installed"
WANTED = "wanted"
"""Frontends: the test extra's, and the one that the host itself asks for."""

SCREENSHOTS = "CODEFORMER_SCREENSHOTS"

RENDERERS = {"canvas": False, "nodes2": True}
"""What `Comfy.VueNodes.Enabled` says in each."""

QUIET = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False}
"""Settings without which the frontend covers the graph."""


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


host_tests = _load("codeformer_host_tests", HERE.parent / "host" / "conftest.py")
Desk = _load("codeformer_desk", HERE / "desk.py").Desk
BROWSER = _load("codeformer_chromium", HERE / "chromium.py").Chromium()
comfy_root = host_tests.comfy_root
write_tiny_model = host_tests.write_tiny_model


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder comes last, and of it what runs on the frontend the host asks for.

    Playwright keeps an event loop running while it is open, beside which no test can run another;
    and a host that was stopped for one with another frontend would have to start again.
    """
    here = [item for item in items if Path(item.fspath).parent == HERE]
    items[:] = [item for item in items if item not in set(here)] + sorted(here, key=_is_wanted)
    for item in here:
        item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=LOST))


def _is_wanted(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("server") == WANTED


@pytest.hookimpl(wrapper=True)
def _watched(item: pytest.Item) -> Iterator[None]:
    with BROWSER.killed_after(LIMIT):
        yield


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _watched


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the frontends and renderers of a test."""
    for fixture, marker, default in (
        ("server", "frontends", [INSTALLED]),
        ("open_desk", "renderers", list(RENDERERS)),
    ):
        if fixture in metafunc.fixturenames:
            chosen = metafunc.definition.get_closest_marker(marker)
            values = default if chosen is None else chosen.args
            metafunc.parametrize(fixture, values, indirect=True, scope="session")


def missing(what: str) -> None:
    """Skip, or fail where browser tests are required, saying what to install."""
    if os.environ.get(REQUIRED):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser, killed where it hangs."""
    if BROWSER.path is None:
        missing("no Chromium: apt-get install chromium")
    yield BROWSER
    BROWSER.stop()


class FileServer(ThreadingHTTPServer):
    """Serves one file, slowly if asked to.

    Attributes:
        content: the file.
        asked: the requests that came.
        slow: whether it sends a little at a time.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FileHandler)
        self.content = random.Random(0).randbytes(300_000)
        self.asked: list[str] = []
        self.slow = False


class _FileHandler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        """Send the file, or what is missing of it."""
        self.server.asked.append(self.path)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        content = self.server.content
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        for place in range(start, len(content), 10_000):
            self.wfile.write(content[place : min(place + 10_000, len(content))])
            if self.server.slow:
                time.sleep(0.3)

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def files() -> Iterator[FileServer]:
    """A server of one file on this machine."""
    with FileServer() as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


def _point_catalogue_at(files: FileServer, base: Path) -> None:
    """Make the host's catalogue believe that the small detector is the served file."""
    known = {
        "detection_mobilenet0.25_Final.pth": {
            "urls": [f"http://127.0.0.1:{files.server_port}/detector.pth"],
            "bytes": len(files.content),
            "sha256": hashlib.sha256(files.content).hexdigest(),
        }
    }
    os.environ["CODEFORMER_TEST_FILES"] = json.dumps(known)
    shutil.copy(HERE / "local_catalogue.py", base / "custom_nodes" / "local_catalogue.py")


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest,
    chromium: Any,
    files: FileServer,
    comfy_root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    write_tiny_model: Callable[[Path], Path],
) -> Iterator[Any]:
    """A started ComfyUI with one of the frontends, a tiny model and a photo of two faces."""
    tools = host_tests.real_host
    base = tools.make_base(tmp_path_factory.mktemp("browser"))
    write_tiny_model(base / "models" / "facerestore_models" / "tiny.safetensors")
    _write_photos(base / "input")
    _write_video(base / "input")
    _point_catalogue_at(files, base)
    wanted = request.param == WANTED
    frontend = tools.frontend_folder(tools.wanted_frontend()) if wanted else None
    with tools.running(comfy_root, base, frontend) as started:
        started.frontend = request.param
        yield started


def _write_photos(folder: Path) -> None:
    """`two.png`, 1024 x 512 with a face in each half, and `none.png` of the same size without."""
    import numpy
    from PIL import Image
    from skimage import data

    folder.mkdir(exist_ok=True)
    face = data.astronaut()
    Image.fromarray(numpy.concatenate([face, face[:, ::-1]], 1)).save(folder / "two.png")
    three = numpy.concatenate([face, face[:, ::-1], face], 1)
    Image.fromarray(three).save(folder / "three.png")
    Image.new("RGB", (1024, 512), "gray").save(folder / "none.png")


def _write_video(folder: Path) -> None:
    """`two.mp4`, four frames of `two.png`."""
    import av
    from PIL import Image

    with av.open(str(folder / "two.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, width=1024, height=512)
        stream.pix_fmt = "yuv420p"
        with Image.open(folder / "two.png") as photo:
            frame = av.VideoFrame.from_image(photo)
        for _ in range(4):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="session")
def open_desk(
    request: pytest.FixtureRequest,
    chromium: Any,
    server: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """The frontend in one of the renderers; opening it takes many seconds, so only once."""
    server.request("/settings", {**QUIET, "Comfy.VueNodes.Enabled": RENDERERS[request.param]})
    chosen = os.environ.get(SCREENSHOTS)
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder = folder / server.frontend / request.param
    desk = Desk(chromium, f"http://{server.address}", folder)
    yield desk
    desk.close()


@pytest.fixture
def desk(open_desk: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The frontend with an empty graph; errors of our modules fail the test."""
    if not open_desk.alive:
        open_desk.open()
    open_desk.clear()
    yield open_desk
    if open_desk.alive and os.environ.get(SCREENSHOTS):
        open_desk.picture(request.node.name)
    assert open_desk.errors == []
