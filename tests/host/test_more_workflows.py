"""Every other shipped workflow runs on the real host, with small models in the place of large."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[2]
CONTROL = {"fixed", "increment", "decrement", "randomize"}
"""What the frontend saves after a seed; no input of the node."""

RUNNING = {
    "select faces": 1,
    "old photo": 1,
    "inpaint faces": 1,
    "fidelity sweep": 2,
    "batch": 2,
    "compare with GFPGAN": 2,
    "degrade and restore": 2,
}
"""Workflows without a diffusion checkpoint, and how many pictures they save or show at least."""


@pytest.fixture(scope="module")
def known(server: Any) -> dict[str, Any]:
    """Every node of the host."""
    return server.json("/object_info")


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


def prompt_of(workflow: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A saved workflow (format 0.4) in API format, with the small files in the loaders."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt: dict[str, Any] = {}
    for node in workflow["nodes"]:
        if node["type"] not in known:
            continue  # notes exist in the frontend only
        inputs: dict[str, Any] = {}
        values = iter(node.get("widgets_values", []))
        for entry in node["inputs"]:
            if "widget" in entry:
                inputs[entry["name"]] = next(values)
                if entry["name"] in ("seed", "noise_seed"):
                    assert next(values) in CONTROL
            if entry["link"] is not None:
                inputs[entry["name"]] = links[entry["link"]]
        inputs |= SMALL.get(node["type"], {})
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


SMALL = {
    "LoadImage": {"image": "small.png"},
    "CodeFormerLoader": {"file": "tiny.safetensors"},
    "UpscaleModelLoader": {"model_name": "tiny_up.pth"},
}
MODEL_LOADER = "tiny loader"


def with_tiny_models(prompt: dict[str, Any]) -> dict[str, Any]:
    """Connect the tiny model wherever the built-in one would be taken."""
    prompt = {**prompt, MODEL_LOADER: {"class_type": "CodeFormerLoader"}}
    prompt[MODEL_LOADER]["inputs"] = SMALL["CodeFormerLoader"]
    for node in prompt.values():
        if node["class_type"] in ("CodeFormerRestoreImage", "CodeFormerRestoreFaces"):
            node["inputs"].setdefault("model", [MODEL_LOADER, 0])
    return prompt


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_workflow_runs_to_its_end(server: Any, known: dict[str, Any], name: str) -> None:
    workflow = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    outputs = server.run(with_tiny_models(prompt_of(workflow, known)))
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
