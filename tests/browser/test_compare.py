"""Before and after inside CodeFormer Restore."""

from __future__ import annotations

from typing import Any

import pytest

STAGE = ".codeformer-stage[role=slider]"

COUNT_CHANGES = f"""() => {{
  const changes = {{attributes: 0, childList: 0}};
  const count = (records) => records.forEach(({{type}}) => changes[type]++);
  const observer = new MutationObserver(count);
  const stage = document.querySelector('{STAGE}');
  observer.observe(stage, {{attributes: true, childList: true, subtree: true}});
  window.countedChanges = () => {{
    count(observer.takeRecords());
    observer.disconnect();
    return changes;
  }};
}}"""


@pytest.fixture
def compared(desk: Any) -> Any:
    """The desk after a run on the photo of two faces."""
    desk.build(
        [
            {"type": "LoadImage", "at": [80, 120], "widgets": {"image": "two.png"}},
            {"type": "CodeFormerLoader", "at": [80, 520], "widgets": {"file": "tiny.safetensors"}},
            {"type": "CodeFormerRestoreImage", "at": [420, 100], "size": [420, 760]},
        ],
        [[0, "IMAGE", 2, "image"], [1, "model", 2, "model"]],
    )
    desk.run()
    desk.page.wait_for_selector(f"{STAGE} .codeformer-number")
    desk.page.wait_for_function(
        f"[...document.querySelectorAll('{STAGE} img')].every((img) => img.naturalWidth)"
    )
    return desk


def divider(desk: Any) -> int:
    """Percent of the picture left of the divider."""
    return int(desk.page.get_attribute(STAGE, "aria-valuenow"))


def sheet(desk: Any) -> dict[str, float]:
    """Where the picture is on the screen."""
    return desk.page.locator(f"{STAGE} .codeformer-sheet").bounding_box()


@pytest.mark.frontends("installed", "wanted")
def test_divider_follows_the_pointer_and_the_keys(compared: Any) -> None:
    page, place = compared.page, sheet(compared)
    middle = place["y"] + place["height"] / 2
    page.mouse.move(place["x"] + 0.25 * place["width"], middle)
    assert divider(compared) == pytest.approx(25, abs=1)
    page.mouse.down()
    page.mouse.move(place["x"] + 0.8 * place["width"], middle, steps=3)
    page.mouse.up()
    assert divider(compared) == pytest.approx(80, abs=1)
    clip = page.locator(f"{STAGE} img").nth(1).evaluate("(img) => img.style.clipPath")
    assert float(clip.split()[1].rstrip("%")) == pytest.approx(20, abs=1)
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    assert divider(compared) == 10
    page.keyboard.press("End")
    assert divider(compared) == 100
    compared.picture("compare")


def test_number_zooms_to_its_face_and_fit_returns(compared: Any) -> None:
    page, whole = compared.page, sheet(compared)
    page.locator(".codeformer-number").first.click()
    zoomed = sheet(compared)
    assert zoomed["width"] > 2 * whole["width"]
    compared.picture("zoomed")
    page.locator(STAGE).focus()
    page.keyboard.press("Escape")
    assert sheet(compared) == pytest.approx(whole)


def test_key_zooms_to_the_face_of_that_number(compared: Any) -> None:
    page, whole = compared.page, sheet(compared)
    (restore,) = page.evaluate(
        "app.graph.nodes.filter(({type}) => type === 'CodeFormerRestoreImage')"
        ".map(({id}) => String(id))"
    )
    output = page.evaluate("(id) => app.nodeOutputs[id]", restore)
    shown = output["codeformer_frames"][0]
    numbered = [{**face, "number": place} for place, face in enumerate(shown["faces"], 6)]
    compared.receive(restore, {**output, "codeformer_frames": [{**shown, "faces": numbered}]})
    page.locator(STAGE).focus()
    page.keyboard.press("1")
    assert sheet(compared) == pytest.approx(whole), "face 1 is in another frame"
    page.keyboard.press("6")
    assert sheet(compared)["width"] > 2 * whole["width"]


def test_one_to_one_shows_a_pixel_of_the_file_as_a_pixel_of_the_screen(compared: Any) -> None:
    compared.page.evaluate("app.canvas.ds.changeScale(0.8, [0, 0])")
    compared.page.wait_for_timeout(500)
    compared.page.click("[data-do=pixels]")
    assert sheet(compared)["width"] == pytest.approx(1024, abs=2)


def test_dense_screen_gets_every_pixel_of_the_file(compared: Any) -> None:
    compared.density(2)
    try:
        # Two pixels of the screen for each of the page: what is drawn is not enlarged.
        assert 2 * sheet(compared)["width"] <= 1024
        compared.page.click("[data-do=pixels]")
        assert 2 * sheet(compared)["width"] == pytest.approx(1024, abs=2)
        compared.picture("dense")
    finally:
        compared.density(1)


def test_moving_the_divider_asks_for_nothing_and_changes_few_nodes(compared: Any) -> None:
    page, place = compared.page, sheet(compared)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(COUNT_CHANGES)
    for step in range(20):
        page.mouse.move(place["x"] + 5 * step, place["y"] + 20)
    changes = page.evaluate("window.countedChanges()")
    # The clip, the line, the value for screen readers: nothing that grows with the picture.
    assert 20 <= changes["attributes"] < 4 * 20
    assert changes["childList"] == 0
    assert not [url for url in asked if "/view" in url]


def test_pictures_that_are_gone_leave_a_hint(compared: Any) -> None:
    page = compared.page
    page.evaluate(
        "(stage) => { document.querySelector(stage + ' img').src = '/view?filename=gone.jpg'; }",
        STAGE,
    )
    page.wait_for_selector(f"{STAGE}[data-empty='Run to compare before and after.']")


def test_pictures_are_before_and_after(compared: Any) -> None:
    sizes = compared.page.eval_on_selector_all(
        f"{STAGE} img", "(all) => all.map((img) => [img.naturalWidth, img.naturalHeight])"
    )
    assert sizes == [[1024, 512], [1024, 512]]
    differ = compared.page.evaluate(
        """() => {
          const images = [...document.querySelectorAll('[role=slider] img')];
          const pixels = images.map((img) => {
            const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
            const context = canvas.getContext('2d');
            context.drawImage(img, 0, 0);
            return context.getImageData(0, 0, canvas.width, canvas.height).data;
          });
          const away = (limit) => (v, i) => Math.abs(v - pixels[1][i]) > limit;
          const corner = !pixels[0].slice(0, 400).some(away(8));
          return [corner, pixels[0].filter(away(40)).length];
        }"""
    )
    assert differ[0], "the corner has no face"
    assert differ[1] > 1000, "the faces did not change"
