"""Every other shipped workflow runs on the real host, with small models in the place of large."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[2]

RUNNING = {
    "select faces": 1,
    "fidelity sweep": 2,
    "batch": 2,
    "compare restorers": 1,
    "compare with GFPGAN": 2,
    "degrade and restore": 2,
}
"""Those that are not in `test_workflows.py` and want no diffusion checkpoint.

How many pictures they save or show at least.
"""


@pytest.fixture(scope="module", autouse=True)
def files(server: Any) -> None:
    """A small photo for Load Image."""
    photo = Image.fromarray(data.astronaut()[:256, 96:352])
    photo.save(server.base / "input" / "small.png")


SMALL = {
    "LoadImage": {"image": "small.png"},
    "CodeFormerLoader": {"file": "tiny.safetensors"},
}
MODEL_LOADER = "tiny loader"


def with_tiny_models(prompt: dict[str, Any]) -> dict[str, Any]:
    """Put the small files into the loaders, and one wherever the built-in model is taken."""
    prompt = {**prompt, MODEL_LOADER: {"class_type": "CodeFormerLoader", "inputs": {}}}
    for node in prompt.values():
        node["inputs"] |= SMALL.get(node["class_type"], {})
        if node["class_type"] in ("CodeFormerRestoreImage", "CodeFormerRestoreFaces"):
            node["inputs"].setdefault("model", [MODEL_LOADER, 0])
    return prompt


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_workflow_runs_to_its_end(
    server: Any, shipped: Callable[[str], dict[str, Any]], name: str
) -> None:
    outputs = server.run(with_tiny_models(shipped(name)))
    pictures = [each for output in outputs.values() for each in output.get("images", [])]
    assert len(pictures) >= RUNNING[name]


def test_downloads_named_in_workflows_are_ones_the_frontend_accepts() -> None:
    named = 0
    for path in (ROOT / "workflows").glob("*.json"):
        for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]:
            for model in node.get("properties", {}).get("models", []):
                named += 1
                assert model["url"].startswith("https://huggingface.co/")
                assert model["name"] == model["url"].rsplit("/", 1)[1]
                assert model["name"] in node["widgets_values"]
    assert named


def test_notes_promise_a_download_button_where_there_is_one(server: Any) -> None:
    offered = {file["name"] for file in server.json("/codeformer/downloads")}
    promised = 0
    for path in (ROOT / "workflows").glob("*.json"):
        nodes = json.loads(path.read_text(encoding="utf-8"))["nodes"]
        notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
        for note in (each for each in notes if "Download button" in each):
            promised += 1
            named = re.findall("`([^`]+)`", note)
            assert named and offered.issuperset(named), path.name
    assert promised == 2


def test_subgraphs_are_offered_and_use_inputs_that_exist(
    server: Any, known: dict[str, Any]
) -> None:
    offered = server.json("/global_subgraphs")
    ours = {key: entry for key, entry in offered.items() if "codeformer" in str(entry["info"])}
    assert [entry["name"] for entry in ours.values()] == ["Restore selected faces"]
    (key,) = ours
    saved = json.loads(server.json(f"/global_subgraphs/{key}")["data"])
    (subgraph,) = saved["definitions"]["subgraphs"]
    assert [node["type"] for node in saved["nodes"]] == [subgraph["id"]]
    assert {each["name"] for each in subgraph["inputs"]} >= {"image"}
    for node in subgraph["nodes"]:
        described = known[node["type"]]["input"]
        there = {**described.get("required", {}), **described.get("optional", {})}
        assert {entry["name"] for entry in node["inputs"]} <= set(there)


@pytest.mark.parametrize(
    ("node", "slot"), [("CodeFormerRestoreImage", "detector"), ("CodeFormerCropFaces", "faces")]
)
def test_a_replaced_prompt_may_name_a_detector(server: Any, node: str, slot: str) -> None:
    """As the newest hosts make of a prompt of facerestore_cf; the host itself lets a name pass."""
    photo = {"class_type": "LoadImage", "inputs": {"image": "small.png"}}
    inputs = {"image": ["1", 0], "fidelity": 0.5, "model": [MODEL_LOADER, 0], slot: "yunet"}
    if slot == "faces":
        inputs = {"image": ["1", 0], slot: "yunet"}
    prompt = {
        "1": photo,
        MODEL_LOADER: {"class_type": "CodeFormerLoader", "inputs": SMALL["CodeFormerLoader"]},
        "2": {"class_type": node, "inputs": inputs},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    assert server.run(prompt)["3"]["images"]
