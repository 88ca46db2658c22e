"""The results of Fidelity Sweep, to choose one."""

from __future__ import annotations

from typing import Any


def test_click_sets_the_fidelity_of_the_nodes_that_restore_the_same_faces(desk: Any) -> None:
    ids = desk.build(
        [
            {"type": "LoadImage", "at": [40, 100], "widgets": {"image": "two.png"}},
            {"type": "CodeFormerLoader", "at": [40, 520], "widgets": {"file": "tiny.safetensors"}},
            {"type": "CodeFormerDetectFaces", "at": [360, 100]},
            {"type": "CodeFormerCropFaces", "at": [360, 650]},
            {"type": "CodeFormerEncodeFaces", "at": [650, 100]},
            {"type": "CodeFormerDecodeFaces", "at": [650, 250]},
            {
                "type": "CodeFormerFidelitySweep",
                "at": [650, 450],
                "size": [500, 400],
                "widgets": {"fidelities": "0, 0.3, 1"},
            },
            {"type": "CodeFormerRestoreFaces", "at": [940, 100]},
        ],
        [
            [0, "IMAGE", 2, "image"],
            [0, "IMAGE", 3, "image"],
            [2, "faces", 3, "faces"],
            [1, "model", 3, "model"],
            [3, "crops", 4, "crops"],
            [1, "model", 4, "model"],
            [4, "codes", 6, "codes"],
        ],
    )
    desk.run()
    page = desk.page
    page.wait_for_function("document.querySelector('.codeformer-strip img')?.naturalWidth")
    assert page.locator(".codeformer-strip button").count() == 3
    page.click(".codeformer-strip [data-fidelity='0.3']")
    assert page.is_visible("text=Connect Decode Faces")
    page.evaluate(
        "([encode, decode]) => app.graph.getNodeById(encode)"
        ".connect(0, app.graph.getNodeById(decode), 'codes')",
        [ids[4], ids[5]],
    )
    page.click(".codeformer-strip [data-fidelity='0.3']")
    assert desk.widget(ids[5], "fidelity") == 0.3
    assert page.get_attribute(".codeformer-strip [data-fidelity='0.3']", "aria-pressed") == "true"
    assert desk.widget(ids[7], "fidelity") == 0.5, "it restores no crops yet"
    page.evaluate(
        "([crop, restore]) => app.graph.getNodeById(crop)"
        ".connect(0, app.graph.getNodeById(restore), 'crops')",
        [ids[3], ids[7]],
    )
    page.click(".codeformer-strip [data-fidelity='1']")
    assert [desk.widget(node, "fidelity") for node in (ids[5], ids[7])] == [1, 1]
    desk.picture("strip")
