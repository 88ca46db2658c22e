"""The Download button of the loaders, and the routes behind it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

NAME = "detection_mobilenet0.25_Final.pth"
PATH = "/codeformer/downloads"
PANEL = ".codeformer-download"
ASK = "CodeFormer.Downloads.Ask"
DETECT = {"confidence": 0.8, "min_size": 16, "search_size": 0}


def described(server: Any) -> dict[str, Any]:
    """What the route says about the file."""
    (file,) = [file for file in server.json(PATH) if file["name"] == NAME]
    return file


@pytest.fixture
def loader(desk: Any, server: Any, files: Any) -> Iterator[Any]:
    """A detector loader whose file is not there yet."""
    forget(server)
    files.slow = False
    (entry,) = [
        entry
        for entry in server.json("/object_info/CodeFormerFaceDetectorLoader")[
            "CodeFormerFaceDetectorLoader"
        ]["input"]["required"]["file"][1]["options"]
        if NAME in entry
    ]
    desk.build(
        [
            {
                "type": "CodeFormerFaceDetectorLoader",
                "at": [300, 200],
                "size": [420, 60],
                "widgets": {"file": entry},
            }
        ],
        [],
    )
    desk.page.wait_for_selector(f"{PANEL}:visible")
    yield desk
    desk.page.unroute_all()
    # It is no detector: other tests must not find it.
    forget(server)


def forget(server: Any) -> None:
    """Remove what was downloaded."""
    target = server.base / "models" / "facedetection" / NAME
    for path in (target, target.with_name(NAME + ".part")):
        path.unlink(missing_ok=True)


@pytest.mark.frontends("installed", "wanted")
def test_button_fetches_the_checked_file(loader: Any, server: Any, files: Any) -> None:
    page = loader.page
    text = page.inner_text(PANEL)
    assert "MIT" in text and "0.3 MB" in text and "is not on this computer" in text
    asked = len(files.asked)
    page.wait_for_timeout(700)
    assert len(files.asked) == asked, "fetched without a click"
    loader.picture("download")
    page.click("[data-do=download]")
    page.wait_for_selector("text=is here")
    path = server.base / "models" / "facedetection" / NAME
    assert path.read_bytes() == files.content
    assert page.locator("[data-do=download]:visible").count() == 0


def test_progress_cancel_and_second_try(loader: Any, server: Any, files: Any) -> None:
    page = loader.page
    files.slow = True
    page.click("[data-do=download]")
    page.wait_for_selector("[data-do=cancel]:visible")
    page.wait_for_function(f"document.querySelector('{PANEL} progress').value > 0")
    page.click("[data-do=cancel]")
    page.wait_for_selector("[data-do=download]:visible")
    assert described(server)["state"] == "cancelled"
    assert not (server.base / "models" / "facedetection" / NAME).exists()
    files.slow = False
    page.click("[data-do=download]")
    page.wait_for_selector("text=is here")


def test_panel_stays_while_the_host_does_not_answer(loader: Any, files: Any) -> None:
    page = loader.page
    files.slow = True
    page.click("[data-do=download]")
    page.wait_for_selector("[data-do=cancel]:visible")
    page.route(f"**{PATH}", lambda route: route.abort())
    page.wait_for_selector(f"{PANEL} >> text=Not downloaded: Failed to fetch")
    files.slow = False
    page.unroute(f"**{PATH}")
    page.wait_for_selector("text=is here")
    forgive(loader)


def test_refused_download_says_why(loader: Any, files: Any) -> None:
    page, asked = loader.page, len(files.asked)

    def refuse(route: Any) -> None:
        if route.request.method == "POST":
            route.fulfill(status=403, body="")
        else:
            route.fallback()

    page.route(f"**{PATH}", refuse)
    page.click("[data-do=download]")
    page.wait_for_selector(f"{PANEL} >> text=Not downloaded: 403 Forbidden")
    page.unroute(f"**{PATH}")
    assert len(files.asked) == asked
    page.click("[data-do=download]")
    page.wait_for_selector("text=is here")
    forgive(loader)


def forgive(desk: Any) -> None:
    """What the browser itself reports of a request that failed on purpose is no error of ours."""
    assert all(error.startswith("Failed to load resource") for error in desk.errors), desk.errors
    desk.errors.clear()


def test_run_fetches_nothing_unless_the_settings_say_so(
    loader: Any, server: Any, files: Any
) -> None:
    """The file is no detector: the run that fetches it ends there."""
    entry = loader.page.evaluate("app.graph.nodes[0].widgets[0].value")
    prompt = {
        "1": {"class_type": "CodeFormerFaceDetectorLoader", "inputs": {"file": entry}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "none.png"}},
        "3": {
            "class_type": "CodeFormerDetectFaces",
            "inputs": {"image": ["2", 0], "detector": ["1", 0], **DETECT},
        },
    }
    asked = len(files.asked)
    with pytest.raises(Exception, match="Press Download in the loader"):
        server.post(prompt)
    assert len(files.asked) == asked
    loader.set(ASK, False)
    try:
        server.wait(server.post(prompt))
    finally:
        loader.set(ASK, True)
    assert len(files.asked) == asked + 1


def test_choosing_a_file_fetches_it_if_the_user_wants_no_question(
    loader: Any, server: Any, files: Any
) -> None:
    choose = (
        "(value) => { const [widget] = app.graph.nodes[0].widgets;"
        " const entry = widget.value; widget.value = value ?? entry;"
        " widget.callback(widget.value); return entry; }"
    )
    loader.set(ASK, False)
    try:
        entry = loader.page.evaluate(choose, "yunet")
        loader.page.wait_for_selector(PANEL, state="hidden")
        loader.page.evaluate(choose, entry)
        loader.page.wait_for_selector("text=is here", timeout=60_000)
    finally:
        loader.set(ASK, True)


# --------------------------------------------------------------------------------------- the routes


def post(server: Any, body: bytes, path: str = PATH, **headers: str) -> int:
    """Status of a POST."""
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"http://{server.address}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


NAMED = json.dumps({"name": NAME}).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (json.dumps({"name": "../../evil.pth"}).encode(), {}, 404),
        (json.dumps({"name": NAME, "folder": "/tmp"}).encode() * 99, {}, 413),
        (json.dumps({"name": "codeformer_colorization.pth"}).encode(), {}, 404),
        (json.dumps({"name": ["x"]}).encode(), {}, 404),
        (json.dumps([NAME]).encode(), {}, 404),
        (b"name", {}, 400),
        (b"[" * 1000, {}, 400),
        (NAMED, {"Content-Type": "text/plain"}, 415),
        (NAMED, {"Origin": "http://evil.example"}, 403),
        (NAMED, {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_route_refuses(
    server: Any, files: Any, body: bytes, headers: dict[str, str], status: int
) -> None:
    asked = len(files.asked)
    assert post(server, body, **headers) == status
    assert post(server, body, f"{PATH}/cancel", **headers) == status
    time.sleep(0.2)
    assert len(files.asked) == asked
