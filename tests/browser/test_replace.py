"""A node of ours that the host puts in the place of a missing one."""

from __future__ import annotations

from typing import Any

import pytest

PUT = """(id) => {
  const graph = app.graph;
  const old = graph.getNodeById(id);
  const made = LiteGraph.createNode("CodeFormerRestoreImage");
  Object.assign(made, {id: old.id, pos: [...old.pos], size: [420, 900]});
  graph._nodes[graph._nodes.indexOf(old)] = made;
  made.graph = graph;
  graph._nodes_by_id[made.id] = made;
  graph.onNodeAdded?.(made);
}"""
"""As *Replace All* does: the graph is told of the node, the node is told nothing.

Frontend 1.58.1 keeps more books than these, and breaks in them by itself with any node."""


@pytest.mark.frontends("wanted")
def test_node_put_in_place_of_a_missing_one_has_its_panel(desk: Any) -> None:
    (missing,) = desk.build([{"type": "PreviewImage", "at": [300, 100]}], [])
    desk.page.evaluate(PUT, missing)
    desk.page.wait_for_selector(".codeformer-stage[role=slider]")


HAND_OVER = """([type, name]) => {
  const old = LiteGraph.createNode("LoadImage");
  old.pos = [0, 100];
  app.graph.add(old);
  const node = LiteGraph.createNode(type);
  node.pos = [700, 100];
  app.graph.add(node);
  old.connect(0, node, "image");
  const slot = type === "CodeFormerCropFaces" ? "faces" : "detector";
  const widget = node.widgets.find((widget) => widget.name === slot);
  widget.value = name;
  widget.callback?.(name);
  return String(node.id);
}"""
"""As *Replace All* hands a widget of the missing node to the new one, in one go."""
BEHIND = """(id) => {
  const chain = [];
  const node = app.graph.getNodeById(id);
  const slots = node.type === "CodeFormerCropFaces" ? ["faces", "detector"] : ["detector"];
  let at = node;
  for (const slot of slots) {
    at = at?.getInputNode(at.findInputSlot(slot));
    chain.push(at?.type);
  }
  const file = at?.widgets.find(({name}) => name === "file")?.value;
  return {chain, file, left: node.widgets.map(({name}) => name)};
}"""


@pytest.mark.parametrize(
    ("kind", "chain"),
    [
        ("CodeFormerRestoreImage", ["CodeFormerFaceDetectorLoader"]),
        ("CodeFormerCropFaces", ["CodeFormerDetectFaces", "CodeFormerFaceDetectorLoader"]),
    ],
)
def test_a_replaced_node_keeps_the_detector_that_it_named(
    desk: Any, kind: str, chain: list[str]
) -> None:
    node = desk.page.evaluate(HAND_OVER, [kind, "YOLOv5l"])
    desk.page.wait_for_timeout(300)
    found = desk.page.evaluate(BEHIND, node)
    assert found["chain"] == chain
    assert found["file"].startswith("download yolov5l-face.pth")
    assert not {"detector", "faces"} & set(found["left"]), "nothing is left of the hand-over"
    desk.reload()
    assert desk.page.evaluate(BEHIND, node)["chain"] == chain
