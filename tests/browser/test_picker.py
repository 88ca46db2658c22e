"""Faces chosen on the picture, in Select Faces and in CodeFormer Restore."""

from __future__ import annotations

from typing import Any

import pytest

FACE = ".codeformer-face[data-number='{}']"
LOADERS = [
    {"type": "LoadImage", "at": [40, 100], "widgets": {"image": "three.png"}},
    {"type": "CodeFormerDetectFaces", "at": [40, 520], "widgets": {"confidence": 0}},
]

RECORD_LISTENERS = """() => {
  const original = EventTarget.prototype.addEventListener;
  const kept = [];
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    const ours = /extensions[/]codeformer[/]/.test(new Error().stack.split('\\n')[2]);
    if (ours && !(this instanceof AbortSignal)) kept.push([type, this]);
    return original.call(this, type, ...rest);
  };
  window.recordedListeners = () => {
    EventTarget.prototype.addEventListener = original;
    if (kept.length === 0) return ['nothing was recorded'];
    const outside = kept.filter(([, target]) => !(target instanceof Element) || target.isConnected);
    return outside.map(([type, target]) => `${type} on ${target}`);
  };
}"""


@pytest.fixture
def blocks(desk: Any) -> dict[str, Any]:
    """Select Faces and, behind it, Decode Faces, after a run; at least three faces are found."""
    select, decode = desk.build(
        [
            *LOADERS,
            {
                "type": "CodeFormerSelectFaces",
                "at": [360, 100],
                "size": [420, 760],
                "widgets": {"rule": "picked", "picked": "1, 40"},
            },
            {"type": "CodeFormerCropFaces", "at": [820, 100]},
            {"type": "CodeFormerEncodeFaces", "at": [820, 300]},
            {"type": "CodeFormerDecodeFaces", "at": [820, 450], "widgets": {"fidelity": 0.5}},
            {"type": "CodeFormerLoader", "at": [820, 700], "widgets": {"file": "tiny.safetensors"}},
            {"type": "PreviewImage", "at": [1050, 300]},
        ],
        [
            [0, "IMAGE", 1, "image"],
            [0, "IMAGE", 2, "image"],
            [1, "faces", 2, "faces"],
            [0, "IMAGE", 3, "image"],
            [2, "faces", 3, "faces"],
            [6, "model", 3, "model"],
            [3, "crops", 4, "crops"],
            [6, "model", 4, "model"],
            [4, "codes", 5, "codes"],
            [5, "restored", 7, "images"],
        ],
    )[2:6:3]
    desk.run()
    desk.page.wait_for_selector(FACE.format(3))
    desk.page.wait_for_function("document.querySelector('.codeformer-picker img').naturalWidth")
    return {"desk": desk, "select": select, "decode": decode}


@pytest.mark.frontends("installed", "wanted")
def test_clicks_keys_and_buttons_write_the_ordinary_widget(blocks: dict[str, Any]) -> None:
    desk, select = blocks["desk"], blocks["select"]
    page = desk.page

    def picked() -> str:
        return desk.widget(select, "picked")

    assert page.locator(".codeformer-missing").inner_text() == "Face 40 is missing"
    desk.picture("picker")
    page.click(".codeformer-missing")
    assert picked() == "1"
    page.click(FACE.format(2))
    assert picked() == "1, 2"
    page.click(FACE.format(2), modifiers=["Shift"])
    assert picked() == "1, 2"
    page.click(FACE.format(1))
    assert picked() == "2"
    assert page.get_attribute(FACE.format(2), "aria-pressed") == "true"
    page.click("[data-do=none]")
    assert picked() == ""
    page.click("[data-do=largest]")
    assert picked().isdigit()
    page.click("[data-do=all]")
    assert len(picked().split(", ")) == page.locator(".codeformer-face").count()
    page.locator(FACE.format(1)).focus()
    page.keyboard.press("Space")
    assert picked().startswith("2, 3")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert picked().startswith("3")
    assert "score" in page.get_attribute(FACE.format(1), "data-details")


def test_shortcut_of_the_host_works_after_a_click(blocks: dict[str, Any]) -> None:
    desk, page = blocks["desk"], blocks["desk"].page
    page.click(FACE.format(2))
    page.evaluate(
        "() => { window.started = new Promise((resolve) => {"
        " app.api.addEventListener('execution_success', resolve, {once: true}); }); }"
    )
    page.keyboard.press("Control+Enter")
    page.wait_for_function("() => window.started.then(() => true)")
    # A key of its own, without Ctrl, is not the canvas's: the node stays.
    page.keyboard.press("Delete")
    assert desk.widget(blocks["select"], "picked") == "1, 2, 40"


def test_click_can_be_undone(blocks: dict[str, Any]) -> None:
    desk, select = blocks["desk"], blocks["select"]
    desk.page.click(FACE.format(2))
    assert desk.widget(select, "picked") == "1, 2, 40"
    desk.page.evaluate("app.extensionManager.command.execute('Comfy.Undo')")
    desk.page.wait_for_selector(FACE.format(2) + "[aria-pressed=false]")
    assert desk.widget(select, "picked") == "1, 40"


def test_rectangle_takes_the_faces_inside(blocks: dict[str, Any]) -> None:
    desk, page = blocks["desk"], blocks["desk"].page
    place = page.locator(".codeformer-picker .codeformer-sheet").bounding_box()
    top = place["y"] + 2
    page.mouse.move(place["x"] + 2, top)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 2, top + place["height"] - 4, steps=4)
    page.mouse.up()
    middles = page.eval_on_selector_all(
        ".codeformer-face",
        "(faces) => faces.map(({dataset, style}) =>"
        " [dataset.number, parseFloat(style.left) + parseFloat(style.width) / 2])",
    )
    # What was picked elsewhere than in this frame stays.
    left = [number for number, middle in middles if middle < 50]
    assert desk.widget(blocks["select"], "picked") == ", ".join([*left, "40"])
    assert 0 < len(left) < len(middles)


def test_slider_of_a_face_writes_the_list_that_decode_reads(blocks: dict[str, Any]) -> None:
    desk, page, decode = blocks["desk"], blocks["desk"].page, blocks["decode"]
    page.click(".codeformer-missing")
    page.click(FACE.format(3))
    desk.set_range(".codeformer-fidelity input", 0.9)
    assert desk.widget(decode, "per_face") == "0.5, 0.9"
    page.click(FACE.format(2))
    assert desk.widget(decode, "per_face") == "0.5, 0.5, 0.9"
    page.click(FACE.format(1))
    assert desk.widget(decode, "per_face") == "0.5, 0.9"
    desk.run()
    page.locator(FACE.format(3)).focus()
    desk.picture("fidelity")
    page.click(".codeformer-fidelity button")
    assert desk.widget(decode, "per_face") == ""


@pytest.mark.frontends("installed", "wanted")
def test_choice_and_picture_survive_and_go_to_the_api(blocks: dict[str, Any]) -> None:
    desk, select = blocks["desk"], blocks["select"]
    desk.page.click(FACE.format(2))
    desk.open_again()
    desk.page.wait_for_selector(FACE.format(2) + "[aria-pressed=true]")
    desk.page.wait_for_function("document.querySelector('.codeformer-picker img').naturalWidth")
    desk.picture("opened again")
    desk.reload()
    desk.page.wait_for_selector(FACE.format(2) + "[aria-pressed=true]")
    assert desk.widget(select, "picked") == "1, 2, 40"
    inputs = desk.prompt()[select]["inputs"]
    assert (inputs["rule"], inputs["picked"]) == ("picked", "1, 2, 40")
    assert not any(name.startswith("codeformer") for name in inputs)


@pytest.mark.frontends("installed", "wanted")
def test_all_in_one_node_restores_only_what_is_picked(desk: Any) -> None:
    restore = desk.build(
        [
            LOADERS[0],
            {"type": "CodeFormerLoader", "at": [40, 520], "widgets": {"file": "tiny.safetensors"}},
            {
                "type": "CodeFormerRestoreImage",
                "at": [420, 60],
                "size": [420, 900],
                "widgets": {"confidence": 0},
            },
        ],
        [[0, "IMAGE", 2, "image"], [1, "model", 2, "model"]],
    )[2]
    desk.run()
    page = desk.page
    page.click("[data-do=choose]")
    page.click(FACE.format(2) + " span")
    assert desk.widget(restore, "picked") == "2"
    desk.set_range(".codeformer-fidelity input", 0.2)
    assert desk.widget(restore, "per_face") == "0.2"
    desk.picture("all in one")
    desk.run()
    outputs = page.evaluate(f"app.nodeOutputs['{restore}'].codeformer_frames[0].faces")
    assert [face["number"] for face in outputs if face["chosen"]] == [2]
    # The node is taller than the window now.
    page.locator("[data-do=all]").dispatch_event("click")
    assert desk.widget(restore, "picked") == ""


def test_frames_have_a_slider(desk: Any) -> None:
    desk.build(
        [
            LOADERS[0],
            {"type": "LoadImage", "at": [40, 520], "widgets": {"image": "none.png"}},
            {"type": "ImageBatch", "at": [360, 100]},
            {"type": "CodeFormerDetectFaces", "at": [360, 250]},
            {"type": "CodeFormerSelectFaces", "at": [720, 100], "size": [420, 760]},
        ],
        [
            [1, "IMAGE", 2, "image1"],
            [0, "IMAGE", 2, "image2"],
            [2, "IMAGE", 3, "image"],
            [3, "faces", 4, "faces"],
            [2, "IMAGE", 4, "image"],
        ],
    )
    desk.run()
    page = desk.page
    page.wait_for_selector("[data-do=frame]")
    assert page.locator(".codeformer-face").count() == 0
    desk.set_range("[data-do=frame]", 1)
    assert page.locator(".codeformer-face").count() >= 2
    assert "2 of 2" in page.locator(".codeformer-frames:visible").first.inner_text().lower()


def test_results_of_another_workflow_are_not_shown(blocks: dict[str, Any]) -> None:
    page = blocks["desk"].page
    page.evaluate(
        "app.loadGraphData({...JSON.parse(JSON.stringify(app.graph.serialize())),"
        " id: '11111111-2222-4333-8444-555555555555'})"
    )
    page.wait_for_selector(".codeformer-picker [data-empty^='Run to see the faces']")
    page.wait_for_timeout(1000)
    assert page.locator(".codeformer-face").count() == 0


def test_removed_node_leaves_nothing(desk: Any) -> None:
    page = desk.page
    page.evaluate(RECORD_LISTENERS)
    node = desk.build([{"type": "CodeFormerSelectFaces", "at": [300, 200]}], [])[0]
    page.wait_for_selector(".codeformer-picker")
    page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", node)
    page.wait_for_function("!document.querySelector('.codeformer-picker')")
    assert page.evaluate("window.recordedListeners()") == []
