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
