"""The results of Fidelity Sweep, to choose one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORKFLOW = Path(__file__).parents[2] / "workflows" / "fidelity sweep.json"


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


def test_shipped_workflow_has_a_node_for_the_chosen_fidelity(desk: Any) -> None:
    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    desk.page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
    nodes = {node["type"]: str(node["id"]) for node in workflow["nodes"]}
    picture = {"filename": "two.png", "subfolder": "", "type": "input"}
    step = {"fidelity": 0.25, "picture": picture}
    desk.receive(nodes["CodeFormerFidelitySweep"], {"codeformer_strip": [step]})
    desk.page.locator(".codeformer-strip [data-fidelity='0.25']").dispatch_event("click")
    assert desk.widget(nodes["CodeFormerDecodeFaces"], "fidelity") == 0.25
