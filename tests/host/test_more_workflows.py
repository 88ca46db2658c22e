"""Every other shipped workflow runs on the real host, with small models in the place of large."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[2]

RUNNING = {
    "select faces": 1,
    "old photo": 1,
    "inpaint faces": 1,
    "fidelity sweep": 2,
    "batch": 2,
    "compare restorers": 1,
    "compare with GFPGAN": 2,
    "degrade and restore": 2,
}
"""Workflows without a diffusion checkpoint, and how many pictures they save or show at least."""


@pytest.fixture(scope="module", autouse=True)
def files(server: Any) -> None:
    """A photo with a mask for Load Image, and a small upscale model."""
    from spandrel.architectures.ESRGAN import ESRGAN

    photo = Image.fromarray(data.astronaut()[:256, 96:352])
    opacity = Image.new("L", photo.size, 255)
    opacity.paste(0, (100, 90, 150, 140))  # Load Image makes a mask of what is transparent
    photo.putalpha(opacity)
    photo.save(server.base / "input" / "small.png")
    folder = server.base / "models" / "upscale_models"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.save(ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict(), folder / "tiny_up.pth")


SMALL = {
    "LoadImage": {"image": "small.png"},
    "CodeFormerLoader": {"file": "tiny.safetensors"},
    "UpscaleModelLoader": {"model_name": "tiny_up.pth"},
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
        files = {str(node["widgets_values"][0]) for node in nodes if "Loader" in node["type"]}
        notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
        if any("Download button" in note for note in notes):
            promised += 1
            assert files & offered, path.name
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
