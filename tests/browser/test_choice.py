"""What a choice of faces writes, and into which node."""

from __future__ import annotations

from typing import Any

FACE = ".codeformer-face[data-number='{}']"
FIDELITY = ".codeformer-fidelity input"
PHOTO = {"filename": "two.png", "subfolder": "", "type": "input"}


def result(*counts: int, pictures: int = 9) -> dict[str, Any]:
    """What a node gets after a run on frames with so many faces; only the first have pictures."""
    frames: list[dict[str, Any]] = []
    number = 0
    for index, count in enumerate(counts):
        frame = {"frame": index, "frames": len(counts), "width": 1024, "height": 512, "faces": []}
        for place in range(count):
            number += 1
            left = 0.05 + 0.2 * place
            box = [left, 0.3, left + 0.15, 0.6]
            face = {"number": number, "box": box, "score": 0.9, "size": 150, "chosen": True}
            frame["faces"].append(face)
        if index < pictures:
            frame |= {"picture": PHOTO, "before": PHOTO}
        frames.append(frame)
    return {"codeformer_frames": frames}


def restore_node(desk: Any, **widgets: Any) -> str:
    """CodeFormer Restore with its picker open."""
    size = [420, 900]
    entry = {"type": "CodeFormerRestoreImage", "at": [300, 60], "size": size, "widgets": widgets}
    (node,) = desk.build([entry], [])
    desk.page.click("[data-do=choose]")
    return node


def test_frames_without_pictures_show_their_faces(desk: Any) -> None:
    restore = restore_node(desk)
    desk.receive(restore, result(2, 0, 1, pictures=1))
    page, picker = desk.page, ".codeformer-picker"
    page.wait_for_function(f"document.querySelector('{picker} img').naturalWidth")
    desk.set_range(f"{picker} [data-do=frame]", 2)
    assert page.is_visible(FACE.format(3))
    assert page.is_hidden(f"{picker} img")
    desk.set_range(f"{picker} [data-do=frame]", 1)
    assert page.locator(f"{picker} [data-empty]").count() == 0, "there was a run"
    desk.set_range(f"{picker} [data-do=frame]", 0)
    assert page.is_visible(f"{picker} img")
    page.click("[data-do=compare]")
    # There is one picture to compare.
    assert page.locator("[data-do=frame]:visible").count() == 0


def test_every_face_of_a_long_batch_gets_its_fidelity(desk: Any) -> None:
    restore = restore_node(desk, fidelity=0.5)
    desk.receive(restore, result(2, 1, pictures=1))
    desk.page.locator(FACE.format(1)).focus()
    desk.set_range(FIDELITY, 0.2)
    assert desk.widget(restore, "per_face") == "0.2, 0.5, 0.5"


def test_click_keeps_the_faces_of_later_frames(desk: Any) -> None:
    entry = {"type": "CodeFormerSelectFaces", "at": [300, 60], "size": [420, 760]}
    (select,) = desk.build([{**entry, "widgets": {"rule": "all"}}], [])
    desk.receive(select, result(2, 1, pictures=1))
    desk.page.click(FACE.format(2))
    assert desk.widget(select, "picked") == "1, 3"


def test_fidelities_go_to_the_node_behind_the_chosen_faces(desk: Any) -> None:
    """The other faces have a shorter way to a list of fidelities, and a longer one does as well."""
    select, other, _, _, decode, _, second = desk.build(
        [
            {
                "type": "CodeFormerSelectFaces",
                "at": [40, 60],
                "size": [420, 760],
                "widgets": {"rule": "picked", "picked": "1, 2"},
            },
            {"type": "CodeFormerRestoreImage", "at": [860, 60]},
            {"type": "CodeFormerCropFaces", "at": [500, 60]},
            {"type": "CodeFormerEncodeFaces", "at": [500, 300]},
            {"type": "CodeFormerDecodeFaces", "at": [500, 450]},
            {"type": "CodeFormerPasteFaces", "at": [500, 680]},
            {"type": "CodeFormerRestoreImage", "at": [860, 60]},
        ],
        [
            [0, "others", 1, "faces"],
            [0, "faces", 2, "faces"],
            [0, "faces", 5, "faces"],
            [2, "crops", 3, "crops"],
            [3, "codes", 4, "codes"],
            [4, "restored", 5, "crops"],
            [5, "image", 6, "image"],
        ],
    )
    page = desk.page
    desk.receive(select, result(2))
    page.locator(FACE.format(2)).first.focus()
    desk.set_range(FIDELITY + " >> nth=0", 0.9)
    lists = [desk.widget(node, "per_face") for node in (other, decode, second)]
    assert lists == ["", "0.5, 0.9", ""]
    # Without Decode Faces there is nothing left to set.
    page.evaluate("(id) => app.graph.remove(app.graph.getNodeById(id))", decode)
    desk.receive(select, result(2))
    assert page.locator(".codeformer-fidelity").first.is_hidden()


def test_lists_written_by_hand_are_paired_as_they_are_written(desk: Any) -> None:
    restore = restore_node(desk, picked="3, 1, 3", per_face="0.2, 0.9", fidelity=0.5)
    desk.receive(restore, result(3))
    page = desk.page
    page.locator(FACE.format(3)).focus()
    assert page.input_value(FIDELITY) == "0.2"
    page.locator(FACE.format(2)).click()
    assert desk.widget(restore, "picked") == "1, 2, 3"
    assert desk.widget(restore, "per_face") == "0.9, 0.5, 0.2"


def test_list_of_another_node_is_in_the_order_of_the_crops(desk: Any) -> None:
    select, _, _, decode = desk.build(
        [
            {
                "type": "CodeFormerSelectFaces",
                "at": [40, 60],
                "size": [420, 760],
                "widgets": {"rule": "picked", "picked": "3, 1"},
            },
            {"type": "CodeFormerCropFaces", "at": [500, 60]},
            {"type": "CodeFormerEncodeFaces", "at": [500, 300]},
            {
                "type": "CodeFormerDecodeFaces",
                "at": [500, 450],
                "widgets": {"per_face": "0.2, 0.9", "fidelity": 0.5},
            },
        ],
        [[0, "faces", 1, "faces"], [1, "crops", 2, "crops"], [2, "codes", 3, "codes"]],
    )
    desk.receive(select, result(3))
    desk.page.click(FACE.format(2))
    assert desk.widget(select, "picked") == "1, 2, 3"
    assert desk.widget(decode, "per_face") == "0.2, 0.5, 0.9"


def test_before_a_run_nobody_is_all_or_the_largest(desk: Any) -> None:
    entry = {"type": "CodeFormerSelectFaces", "at": [300, 60], "size": [420, 760]}
    (select,) = desk.build([{**entry, "widgets": {"rule": "largest"}}], [])
    page = desk.page
    for action in ("all", "largest"):
        assert page.locator(f"[data-do={action}]").is_disabled()
    assert desk.widget(select, "rule") == "largest"
    desk.receive(select, result(2))
    page.click("[data-do=largest]")
    assert desk.widget(select, "picked") == "1"
    page.click("[data-do=all]")
    assert desk.widget(select, "picked") == "1, 2"


def test_a_face_that_is_missing_gets_no_fidelity_behind(desk: Any) -> None:
    select, _, restore = desk.build(
        [
            {
                "type": "CodeFormerSelectFaces",
                "at": [40, 60],
                "size": [420, 760],
                "widgets": {"rule": "picked", "picked": "1, 3"},
            },
            {"type": "CodeFormerCropFaces", "at": [500, 60]},
            {"type": "CodeFormerRestoreFaces", "at": [500, 300]},
        ],
        [[0, "faces", 1, "faces"], [1, "crops", 2, "crops"]],
    )
    desk.receive(select, result(2))  # there is no face 3
    desk.page.locator(FACE.format(1)).first.focus()
    desk.set_range(FIDELITY + " >> nth=0", 0.2)
    assert desk.widget(restore, "per_face") == "0.2"
