"""ONNX graphs in the hands of the host: listed, counted by the memory manager, closed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("onnxruntime")


@pytest.fixture
def graph(host: SimpleNamespace, write_graph: Callable[..., Path]) -> Iterator[Path]:
    path = host.base / "models" / "facerestore_models" / "gpen" / "GPEN-BFR-256.onnx"
    path.parent.mkdir(exist_ok=True)
    yield write_graph(path, weight=[1])
    path.unlink()
    host.memory.unload_all_models()


def _crops() -> Any:
    return torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(1))


def test_graphs_are_listed_beside_weight_files(
    host: SimpleNamespace, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (graph.parent.parent / "notes.txt").touch()
    folders = host.folder_paths.folder_names_and_paths
    (paths, _) = folders["facerestore_models"]
    for extensions in ({".pth"}, set()):
        monkeypatch.setitem(folders, "facerestore_models", (paths, extensions))
        options = host.choices.RESTORERS.options()
        assert options.count("gpen/GPEN-BFR-256.onnx") == 1
        assert "notes.txt" not in options
    assert not any(name.endswith(".onnx") for name in host.choices.DETECTORS.options())
    assert not any(name.endswith(".onnx") for name in host.choices.convertible_files())
    assert host.choices.RESTORERS.problem("gpen/GPEN-BFR-256.onnx") is None


def test_eviction_closes_the_graph_and_the_next_run_opens_it(
    host: SimpleNamespace, graph: Path
) -> None:
    model = host.shared.restorer("gpen/GPEN-BFR-256.onnx")
    before = host.restore(model, _crops(), [0.0, 1.0])
    patcher, session = host.patcher(model), model.open()
    assert patcher.model_size() == model.weight_bytes == 4 * 3 * 3 * 3 * 3
    assert patcher in host.memory.loaded_models()
    host.restore(model, _crops())
    assert model.open() is session, "a run while it is loaded opens nothing"
    host.memory.free_memory(1e30, patcher.load_device)
    assert patcher not in host.memory.loaded_models()
    assert model._session is None
    assert torch.equal(host.restore(model, _crops(), [0.0, 1.0]), before)


def test_restore_faces_runs_it_and_encode_faces_refuses_it(
    host: SimpleNamespace, graph: Path
) -> None:
    (model,) = host.nodes["CodeFormerLoader"].execute(file="gpen/GPEN-BFR-256.onnx").args
    node = host.nodes["CodeFormerRestoreFaces"]
    with torch.inference_mode():
        (restored,) = node.execute(crops=_crops(), fidelity=0.5, model=model).args
    assert restored.shape == (2, 256, 256, 3)
    with pytest.raises(host.core("errors").SettingError, match="no codes"):
        host.nodes["CodeFormerEncodeFaces"].execute(crops=_crops(), model=model)
