"""`codeformer app` in a real Chromium: choose, restore, slide, download, stop, clear."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from codeformer_core.app.page import serving
from codeformer_core.app.service import Service
from codeformer_core.faces import YuNetDetector
from codeformer_core.images import Picture, read_picture, resize, write_picture
from codeformer_core.models import load_restorer, load_upscaler
from codeformer_core.pipeline.upscaling import enlarge

PATIENCE = 60_000
SCREENSHOTS = "CODEFORMER_SCREENSHOTS"


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    pytest.importorskip("gradio", reason="needs the extra `app`: pip install -e '.[app]'")
    service = Service(load_restorer(), YuNetDetector(), load_upscaler())
    with serving(service, max_megabytes=1) as page:
        yield page


@pytest.fixture
def page(chromium: Any, served: Any) -> Iterator[Any]:
    opened = chromium.new_page(viewport={"width": 1280, "height": 1000})
    opened.set_default_timeout(PATIENCE)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(served.local_url)
    opened.wait_for_selector("#given")
    yield opened
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        name = os.environ["PYTEST_CURRENT_TEST"].split("::")[1].split(" ")[0]
        opened.screenshot(path=Path(folder) / f"app {name}.png", full_page=True)
    opened.close()
    elsewhere = [url for url in asked if not url.startswith((served.local_url, "data:", "blob:"))]
    assert not elsewhere, "nothing is fetched from elsewhere"


@pytest.fixture
def photo(astronaut: torch.Tensor, tmp_path: Path) -> Path:
    """Two worn faces."""
    face = resize(resize(astronaut[None, :256, 96:352], 100, 100), 256, 256)[0]
    write_picture(tmp_path / "family.jpg", Picture(torch.cat([face, face.flip(1)], 1)))
    return tmp_path / "family.jpg"


@pytest.fixture
def clip(photo: Path) -> Path:
    """The same two for half a second."""
    av = pytest.importorskip("av")
    path = photo.with_suffix(".mp4")
    pixels = (read_picture(photo).pixels * 255).byte().numpy()
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 512, 256, "yuv420p"
        for _ in range(6):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode())
    return path


def choose(page: Any, path: Path) -> None:
    page.set_input_files("#given input[type=file]", path)


def button(page: Any, name: str) -> Any:
    return page.locator(f"button:text-is('{name}')")


def submit(page: Any) -> None:
    button(page, "Submit").click()


def wait_for_progress(page: Any) -> None:
    page.wait_for_function("() => /%/.test(document.querySelector('#slider')?.innerText ?? '')")


def one_of(photo: Path) -> Path:
    """Another file, of one of its faces."""
    path = photo.with_name("one.jpg")
    write_picture(path, Picture(read_picture(photo).pixels[:, :256]))
    return path


@pytest.fixture
def slow_look(photo: Path, monkeypatch: pytest.MonkeyPatch) -> Event:
    """Looking at the photo of two takes a minute, or until the event is set."""
    look, enough = Service.look, Event()

    def slow(service: Service, path: Path, on_progress: Any) -> Any:
        for step in range(600 if path.name == photo.name else 0):
            on_progress(step, 600)
            if enough.wait(0.1):
                break
        return look(service, path, on_progress)

    monkeypatch.setattr(Service, "look", slow)
    return enough


def test_it_listens_on_this_computer_only(served: Any) -> None:
    assert served.local_url.startswith("http://127.0.0.1:")
    assert served.server_name == "127.0.0.1"
    assert served.share_url is None


def test_a_picture_is_restored_compared_and_downloaded(
    page: Any, photo: Path, tmp_path: Path
) -> None:
    for label in ("Background_Enhance", "Face_Upsample", "Rescaling_Factor"):
        assert page.get_by_text(label, exact=True).count() == 1
    assert page.get_by_text("0 for better quality, 1 for better identity").is_visible()
    choose(page, photo)
    page.wait_for_selector("#numbered img")
    assert page.locator("#picked input[type=checkbox]").count() == 2
    for box in page.locator("#picked input[type=checkbox]").all():
        box.uncheck()
    submit(page)
    page.get_by_text("Choose at least one of them.").wait_for()
    page.locator("#picked input[type=checkbox]").nth(1).check()
    page.get_by_label("number input for Rescaling_Factor").fill("2")
    submit(page)
    page.wait_for_selector("#slider img >> nth=1")
    page.wait_for_selector("#download:has-text('family_restored.jpg')")
    divider = page.locator("#slider .outer, #slider [role=slider], #slider .grab").first
    before = divider.bounding_box()
    box = page.locator("#slider img").first.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
    page.mouse.up()
    after = divider.bounding_box()
    assert after["x"] < before["x"] - 20, "the slider follows the pointer"
    with page.expect_download() as waiting:
        page.click("#download")
    waiting.value.save_as(tmp_path / "got.jpg")
    assert waiting.value.suggested_filename == "family_restored.jpg"
    result, given = (read_picture(each).pixels for each in (tmp_path / "got.jpg", photo))
    assert result.shape == (2 * given.shape[0], 2 * given.shape[1], 3), "as Rescaling_Factor says"
    larger = enlarge(given[None], 2, load_upscaler())[0]
    changed = (result - larger).abs().mean(-1)
    assert float(changed[:, :400].mean()) < 0.006 < float(changed[80:440, 600:920].mean())


def test_of_a_clip_one_person_is_chosen_restored_and_downloaded(
    page: Any, clip: Path, tmp_path: Path
) -> None:
    choose(page, clip)
    page.wait_for_selector("#numbered img")
    page.get_by_text("People to restore", exact=True).wait_for()
    assert page.locator("#picked input[type=checkbox]").count() == 2
    page.locator("#picked input[type=checkbox]").nth(0).uncheck()
    submit(page)
    page.wait_for_selector("#download:has-text('family_restored.mp4')")
    page.wait_for_selector("video")
    with page.expect_download() as waiting:
        page.click("#download")
    waiting.value.save_as(tmp_path / "got.mp4")
    given, made = (_first_frame(each) for each in (clip, tmp_path / "got.mp4"))
    changed = abs(made - given).mean(-1)
    faces = sorted([changed[50:140, 80:190].mean(), changed[50:140, 320:430].mean()])
    assert 2 * faces[0] < faces[1], "the other one stays as they are"


def _first_frame(path: Path) -> Any:
    import av

    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(float)


def test_faults_are_told_in_the_users_words(page: Any, tmp_path: Path) -> None:
    submit(page)
    page.get_by_text("Choose a picture or a clip first.").wait_for()
    (tmp_path / "page.png").write_bytes(b"<!doctype html><title>404</title>")
    choose(page, tmp_path / "page.png")
    said = page.locator(".toast-body", has_text="page.png").first
    assert "/" not in said.inner_text(), "the name that the user gave it"
    submit(page)
    page.locator(".toast-body", has_text="(2)").first.wait_for()
    button(page, "Submit").and_(page.locator(":enabled")).wait_for()


def test_large_files_are_refused(page: Any, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(2_000_000))
    choose(page, tmp_path / "large.png")
    page.locator(".toast-body", has_text="size").first.wait_for()


def test_stop_ends_it_and_clear_forgets_it(
    page: Any, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore, begun, ended = Service.restore, [], []

    def slow(
        service: Service, path: Path, folder: Path, wishes: Any, on_progress: Any, look: Any
    ) -> Any:
        begun.append(restore(service, path, folder, wishes, None, look).file)
        step = 0
        try:
            for step in range(600):
                on_progress(step, 600)
                time.sleep(0.1)
        finally:
            ended.append(step)

    monkeypatch.setattr(Service, "restore", slow)
    choose(page, photo)
    page.wait_for_selector("#numbered img")
    for name in ("Stop", "Clear"):
        submit(page)
        wait_for_progress(page)
        assert button(page, "Submit").is_disabled(), "a second press would be lost"
        button(page, name).click()
        button(page, "Submit").and_(page.locator(":enabled")).wait_for()
        said = page.get_by_text("Stopped.")
        said.wait_for(state="visible" if name == "Stop" else "hidden")
        assert ended.pop() < 500
        assert not begun.pop().exists()
    page.wait_for_selector("#numbered img", state="detached")
    assert page.locator("#slider img").count() == 0


def test_what_is_submitted_during_a_look_is_done_after_it(
    page: Any, photo: Path, slow_look: Event
) -> None:
    choose(page, photo)
    wait_for_progress(page)
    submit(page)
    wait_for_progress(page)
    slow_look.set()
    page.get_by_text("2 faces restored").wait_for()
    assert page.locator("#picked input:checked").count() == 2


def test_a_look_that_was_stopped_is_not_needed_and_the_last_chosen_counts(
    page: Any, photo: Path, slow_look: Event
) -> None:
    choose(page, photo)
    wait_for_progress(page)
    submit(page)
    button(page, "Stop").click()
    page.get_by_text("Stopped.").wait_for()
    button(page, "Submit").and_(page.locator(":enabled")).wait_for()
    assert page.locator("#slider img").count() == 0, "what waited for the look is stopped as well"
    submit(page)
    page.get_by_text("2 faces restored").wait_for()
    button(page, "Clear").click()
    page.get_by_text("2 faces restored").wait_for(state="detached")
    choose(page, photo)
    wait_for_progress(page)
    page.click("#given button[aria-label='Clear']")
    choose(page, one_of(photo))
    page.wait_for_selector("#numbered img")
    assert page.locator("#picked input[type=checkbox]").count() == 1
    submit(page)
    page.get_by_text("1 face restored").wait_for()
