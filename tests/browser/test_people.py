"""People of a video chosen by their faces, in CodeFormer Restore Video."""

from __future__ import annotations

from typing import Any

PERSON = ".codeformer-people [data-number='{}']"
CHOSEN = PERSON + "[aria-pressed=true]"
PICTURE = "document.querySelector('.codeformer-people img')?.naturalWidth"
PHOTO = {"filename": "two.png", "subfolder": "", "type": "input"}

QUALITY = {"canvas": 16, "nodes2": 17}
"""What ran in one renderer would not run again in the other, and so show nothing."""

COUNT_NEWEST = """() => {
  window.newest = 0;
  const look = () => {
    if (document.querySelector('.codeformer-newest:not([hidden])')) window.newest++;
  };
  new MutationObserver(look).observe(document.body, {subtree: true, attributes: true});
}"""


def test_run_shows_the_people_and_clicks_choose_them_for_good(desk: Any) -> None:
    page = desk.page
    video = {"fidelity": 0.5, "people": "2", "quality": QUALITY[desk.folder.name]}
    _, _, restore, _ = desk.build(
        [
            {"type": "LoadVideo", "at": [40, 100], "widgets": {"file": "two.mp4"}},
            {"type": "CodeFormerLoader", "at": [40, 520], "widgets": {"file": "tiny.safetensors"}},
            {
                "type": "CodeFormerRestoreVideo",
                "at": [420, 100],
                "size": [420, 560],
                "widgets": video,
            },
            {"type": "SaveVideo", "at": [860, 100]},
        ],
        [[0, "VIDEO", 2, "video"], [1, "model", 2, "model"], [2, "video", 3, "video"]],
    )
    page.evaluate(COUNT_NEWEST)
    desk.run()
    page.wait_for_function(PICTURE)
    assert page.evaluate("window.newest") > 0, "what is being made is seen meanwhile"
    assert page.is_hidden(".codeformer-newest")
    assert page.locator(".codeformer-people button").count() == 2
    assert page.is_visible(CHOSEN.format(2))
    desk.picture("people")
    page.click(PERSON.format(1))
    assert desk.widget(restore, "people") == "1, 2"
    page.click(PERSON.format(2))
    assert desk.widget(restore, "people") == "1"
    desk.open_again()
    page.wait_for_selector(CHOSEN.format(1))
    page.wait_for_function(PICTURE)
    assert desk.prompt()[restore]["inputs"]["people"] == "1"


def test_keys_and_what_is_written_by_hand(desk: Any) -> None:
    page = desk.page
    node = {"type": "CodeFormerRestoreVideo", "at": [300, 100], "size": [420, 560]}
    (restore,) = desk.build([{**node, "widgets": {"people": "2, 40"}}], [])
    desk.receive(restore, {"images": [PHOTO] * 12})
    page.click(".codeformer-missing")
    assert desk.widget(restore, "people") == "2"
    page.click(PERSON.format(2), modifiers=["Shift"])
    page.click(PERSON.format(3), modifiers=["Shift"])
    assert desk.widget(restore, "people") == "2, 3"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert desk.widget(restore, "people") == "3"
    page.keyboard.press("Escape")
    assert desk.widget(restore, "people") == ""
    assert page.is_visible("text=Everybody")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert desk.widget(restore, "people") == "11"
    inside = page.eval_on_selector(
        PERSON.format(11),
        "(face) => face.getBoundingClientRect().bottom"
        " <= face.parentElement.getBoundingClientRect().bottom",
    )
    assert inside, "the focused one is scrolled to"
