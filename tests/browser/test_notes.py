"""What a run had to say stays in the node."""

from __future__ import annotations

from typing import Any

import pytest

NOTES = ".codeformer-notes"
HEIGHT = "(id) => app.graph.getNodeById(id).computeSize()[1]"


@pytest.mark.frontends("installed", "wanted")
def test_note_of_a_run_is_still_there_when_it_has_ended(desk: Any) -> None:
    _, restore = desk.build(
        [
            {"type": "LoadImage", "at": [80, 120], "widgets": {"image": "two.png"}},
            {
                "type": "CodeFormerRestoreImage",
                "at": [420, 100],
                "size": [420, 600],
                "widgets": {"picked": "1, 9"},
            },
        ],
        [[0, "IMAGE", 1, "image"]],
    )
    desk.run()
    desk.page.wait_for_selector(f"{NOTES}:visible >> text=not found this time: face 9")
    desk.receive(restore, {"codeformer_notes": []})
    assert desk.page.locator(f"{NOTES}:visible").count() == 0


def test_node_without_another_panel_makes_room_for_a_note(desk: Any) -> None:
    (paste,) = desk.build([{"type": "CodeFormerPasteFaces", "at": [300, 60]}], [])
    before = desk.page.evaluate(HEIGHT, paste)
    desk.receive(paste, {"codeformer_notes": ["face 1 stays", "face 2 stays"]})
    desk.page.wait_for_selector(f"{NOTES}:visible >> text=face 2 stays")
    assert desk.page.evaluate(HEIGHT, paste) > before
    desk.receive(paste, {"codeformer_notes": []})
    assert desk.page.evaluate(HEIGHT, paste) == before
