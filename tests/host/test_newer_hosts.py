"""The few branches for hosts newer than the one the tests run, on small fakes."""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture
def made(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the host a newer patcher; the list grows by what is called."""
    patchers = importlib.import_module("comfy.model_patcher")
    calls: list[str] = []

    class Newer(patchers.ModelPatcher):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            calls.append("core patcher")

    monkeypatch.setattr(patchers, "CoreModelPatcher", Newer, raising=False)
    monkeypatch.setattr(
        host.memory, "archive_model_dtypes", lambda model: calls.append("archived"), raising=False
    )
    return calls


def test_casting_network_gets_the_newer_patcher(host: SimpleNamespace, made: list[str]) -> None:
    layer = torch.nn.Sequential(host.adapter.operations().Linear(2, 2))
    patcher = host.patcher(layer)
    assert host.patcher(layer) is patcher
    assert made == ["archived", "core patcher"]


def test_plain_network_keeps_the_plain_patcher(host: SimpleNamespace, made: list[str]) -> None:
    host.patcher(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    assert made == ["archived"]


def test_search_aliases_are_given_where_the_host_knows_them(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = importlib.import_module("comfy_api.latest").io

    @dataclass
    class Newer(api.Schema):
        search_aliases: list[str] = field(default_factory=list)

    node = host.nodes["CodeFormerRestoreImage"]
    if "search_aliases" not in {each.name for each in fields(api.Schema)}:
        assert not hasattr(node.define_schema(), "search_aliases")
        monkeypatch.setattr(api, "Schema", Newer)
    assert "fix faces" in node.define_schema().search_aliases


@pytest.fixture
def replaced(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Give the host node replacement; the list grows by what is registered."""
    api = importlib.import_module("comfy_api.latest")
    told: list[dict[str, Any]] = []

    class Replacing:
        async def register(self, replacement: dict[str, Any]) -> None:
            told.append(replacement)

    monkeypatch.setattr(api.io, "NodeReplace", dict, raising=False)
    monkeypatch.setattr(api, "ComfyAPI", lambda: SimpleNamespace(node_replacement=Replacing()))
    running = SimpleNamespace(PromptServer=SimpleNamespace(instance=SimpleNamespace()))
    monkeypatch.setitem(sys.modules, "server", running)
    return told


def _load(host: SimpleNamespace) -> None:
    extension = asyncio.run(host.pack.comfy_entrypoint())
    asyncio.run(extension.on_load())


def test_replacements_name_inputs_and_outputs_that_exist(
    host: SimpleNamespace, replaced: list[dict[str, Any]]
) -> None:
    _load(host)
    assert {entry["old_node_id"] for entry in replaced} == {
        "FaceRestoreModelLoader",
        "FaceRestoreCFWithModel",
        "CropFace",
    }
    for entry in replaced:
        schema = host.nodes[entry["new_node_id"]].GET_SCHEMA()
        inputs = {each.id: each for each in schema.inputs}
        mapped = {each["new_id"] for each in entry["input_mapping"]}
        assert mapped <= set(inputs)
        assert {key for key, each in inputs.items() if not each.optional} <= mapped
        assert all(each["new_idx"] < len(schema.outputs) for each in entry["output_mapping"])


def test_hosts_without_replacement_or_a_running_server_are_left_alone(
    host: SimpleNamespace,
) -> None:
    _load(host)


def test_crop_faces_searches_by_itself_as_its_forerunner_did(host: SimpleNamespace) -> None:
    blank = torch.zeros(1, 64, 64, 3)
    (crops,) = host.nodes["CodeFormerCropFaces"].execute(image=blank).args
    assert crops.shape == (1, 512, 512, 3), "the square that stands for no face"


def test_outputs_have_the_type_that_the_host_keeps_intermediate_results_in(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = torch.rand(1, 4, 4, 3)
    assert host.adapter.to_output(picture).dtype == torch.float32
    monkeypatch.setattr(host.memory, "intermediate_dtype", lambda: torch.float16, raising=False)
    assert host.adapter.to_output(picture).dtype == torch.float16
