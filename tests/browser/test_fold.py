"""CodeFormer Restore shows what most people change, and the rest on request."""

from __future__ import annotations

from typing import Any

import pytest

FOLDED = 560
"""Pixels that the node is high at most, with its panel."""
STATE = """(id) => {
  const node = app.graph.getNodeById(id);
  // Newer frontends keep a linked widget's row and write its name there.
  const visible = node.isWidgetRowVisible ?? node.isWidgetVisible;
  const shown = node.widgets.filter((widget) => visible.call(node, widget));
  return {height: node.computeSize()[1], shown: shown.map(({name}) => name)};
}"""
FEW = {"fidelity", "auto_fidelity", "upscale_by", "codeformer_compare"}


def state(desk: Any, node: str) -> tuple[float, set[str]]:
    """Height of a node on the canvas, and which widgets it shows there."""
    found = desk.page.evaluate(STATE, node)
    return found["height"], set(found["shown"])


@pytest.fixture
def restore(desk: Any) -> str:
    (node,) = desk.build([{"type": "CodeFormerRestoreImage", "at": [300, 60]}], [])
    desk.page.wait_for_selector("[data-do=choose]")
    return node


@pytest.mark.frontends("installed", "wanted")
@pytest.mark.renderers("canvas")
def test_canvas_folds_unfolds_and_folds_again(desk: Any, restore: str) -> None:
    height, shown = state(desk, restore)
    assert shown == FEW
    assert height <= FOLDED
    desk.page.click("[data-do=advanced]")
    taller, more = state(desk, restore)
    assert taller > height + 200
    assert {"confidence", "per_face"} < more
    desk.reload()
    assert state(desk, restore)[1] == more, "a saved workflow opens as it was"
    desk.page.click("[data-do=advanced]")
    assert state(desk, restore)[1] == FEW


@pytest.mark.renderers("nodes2")
def test_nodes2_has_one_button_for_it(desk: Any, restore: str) -> None:
    page = desk.page
    assert page.is_hidden("[data-do=advanced]")
    assert page.locator(".lg-node >> text=min_size").count() == 0
    page.click("text=Show advanced inputs")
    page.wait_for_selector(".lg-node >> text=min_size")


@pytest.mark.frontends("installed", "wanted")
@pytest.mark.renderers("canvas")
def test_input_with_a_link_stays_when_a_saved_workflow_opens(desk: Any) -> None:
    nodes = [
        {"type": "PrimitiveFloat", "at": [80, 60]},
        {"type": "CodeFormerRestoreImage", "at": [400, 60]},
    ]
    _, restore = desk.build(nodes, [[0, "FLOAT", 1, "confidence"]])
    desk.reload()
    assert state(desk, restore)[1] == FEW | {"confidence"}


@pytest.mark.frontends("installed", "wanted")
@pytest.mark.renderers("canvas")
def test_node_for_videos_has_the_button_too(desk: Any) -> None:
    (video,) = desk.build([{"type": "CodeFormerRestoreVideo", "at": [300, 60]}], [])
    assert "confidence" not in state(desk, video)[1]
    desk.page.click("[data-do=advanced]")
    assert "confidence" in state(desk, video)[1]


def test_folded_inputs_go_into_the_prompt(desk: Any, restore: str) -> None:
    (inputs,) = [node["inputs"] for node in desk.prompt().values()]
    assert {"confidence", "feather", "picked"} < set(inputs)
