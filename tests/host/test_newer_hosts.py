"""The few branches for hosts newer than the one the tests run, on small fakes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
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
    host.adapter.Hosted(layer, "casting", casting=True)
    assert made == ["archived", "core patcher"]


def test_plain_network_keeps_the_plain_patcher(host: SimpleNamespace, made: list[str]) -> None:
    host.adapter.Hosted(torch.nn.Sequential(torch.nn.Linear(2, 2)), "plain", casting=False)
    assert made == ["archived"]


def test_search_aliases_are_given_where_the_host_knows_them(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = importlib.import_module("comfy_api.latest").io

    @dataclass
    class Newer(api.Schema):
        search_aliases: list[str] = field(default_factory=list)

    node = host.nodes["CodeFormerRestoreImage"]
    assert not hasattr(node.define_schema(), "search_aliases")
    monkeypatch.setattr(api, "Schema", Newer)
    assert "fix faces" in node.define_schema().search_aliases
