"""Templates bring the pictures and the clip they load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "web" / "examples").iterdir())
OFFERED = """() => app.graph.nodes.filter(({type}) => type.startsWith("Load"))
  .flatMap(({widgets}) => widgets[0].options.values)"""


def template(name: str) -> Any:
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def loaded(workflow: Any) -> list[str]:
    """What the nodes of a workflow load."""
    loaders = ("LoadImage", "LoadVideo")
    nodes = [node for node in workflow["nodes"] if node["type"] in loaders]
    return [node["widgets_values"][0] for node in nodes]


def test_templates_load_nothing_but_what_is_shipped() -> None:
    names = [path.stem for path in (ROOT / "workflows").glob("*.json")]
    assert sorted({picture for name in names for picture in loaded(template(name))}) == EXAMPLES
    source = (ROOT / "web" / "lib" / "examples.js").read_text(encoding="utf-8")
    assert all(f'"{name}"' in source for name in EXAMPLES)


@pytest.mark.frontends("installed", "wanted")
@pytest.mark.parametrize("named", ["select faces", "restore a video"])
def test_template_brings_what_it_loads_once(desk: Any, server: Any, named: str) -> None:
    page, workflow = desk.page, template(named)
    (name,) = loaded(workflow)
    (server.base / "input" / name).unlink(missing_ok=True)
    uploads: list[str] = []
    page.on("request", lambda request: uploads.append(request.url))
    page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
    brought = (server.base / "input" / name).read_bytes()
    assert brought == (ROOT / "web" / "examples" / name).read_bytes()
    assert name in page.evaluate(OFFERED)
    page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
    assert len([url for url in uploads if url.endswith("/upload/image")]) == 1
    desk.run()


def test_workflow_without_our_pictures_asks_for_nothing(desk: Any) -> None:
    workflow, asked = template("restore a photo"), []
    workflow["nodes"][0]["widgets_values"] = ["two.png", "image"]
    desk.page.on("request", lambda request: asked.append(request.url))
    desk.page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
    assert not [url for url in asked if "object_info" in url or "upload" in url]
