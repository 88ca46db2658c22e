"""The host's memory manager holds our networks: loading, eviction, partial loading, no memory."""

from __future__ import annotations

import gc
import importlib
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

HUGE = 1e30


@pytest.fixture
def crops() -> torch.Tensor:
    """Four faces' worth of noise."""
    return torch.rand(4, 64, 64, 3, generator=torch.Generator().manual_seed(1))


def _loaded(host: SimpleNamespace) -> list[Any]:
    return host.memory.loaded_models()


def test_a_run_loads_the_whole_network(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    assert host.patcher(tiny) not in _loaded(host)
    host.restore(tiny, crops)
    assert host.patcher(tiny) in _loaded(host)
    assert host.patcher(tiny).loaded_size() == host.patcher(tiny).model_size() > 0


def test_the_host_evicts_it_and_the_next_run_gives_the_same(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    before = host.restore(tiny, crops)
    host.memory.free_memory(HUGE, host.patcher(tiny).load_device)
    assert host.patcher(tiny) not in _loaded(host)
    assert torch.equal(host.restore(tiny, crops), before)


def test_a_model_nobody_uses_is_forgotten(
    host: SimpleNamespace, tiny_file: Any, crops: torch.Tensor
) -> None:
    model = host.shared.restorer(tiny_file.name)
    host.restore(model, crops)
    weights = weakref.ref(next(model.parameters()))
    del model
    gc.collect()
    host.memory.cleanup_models_gc()
    assert _loaded(host) == []
    assert weights() is None


def test_the_host_is_told_how_much_memory_a_batch_needs(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    load = host.memory.load_models_gpu

    def spy(patchers: list[Any], **settings: Any) -> None:
        asked.append(settings)
        load(patchers, **settings)

    monkeypatch.setattr(host.memory, "load_models_gpu", spy)
    host.restore(tiny, crops[:1])
    host.restore(tiny, crops)
    one, four = (settings["memory_required"] for settings in asked)
    # At the least the widest feature map: 32 channels at full resolution in float32.
    assert one > 32 * 64 * 64 * 4
    assert four == pytest.approx(4 * one)
    assert all(settings["force_full_load"] for settings in asked)


class _Allocations(TorchDispatchMode):
    """Counts the bytes of all tensors alive that were made inside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self.alive:
            self.alive[key] = storage.nbytes()
            weakref.finalize(storage, self.alive.pop, key, None)
            self.peak = max(self.peak, sum(self.alive.values()))


def test_the_estimate_covers_the_published_network(host: SimpleNamespace) -> None:
    networks = host.core("networks")
    with torch.device("meta"), torch.no_grad():
        network = networks.CodeFormer(networks.CodeFormerConfig())
        crops = torch.zeros(2, 3, 512, 512)
        with _Allocations() as counted:
            network(crops, 0.5)
    assert counted.peak < 2 * network.bytes_per_face < 1.5 * counted.peak


@pytest.mark.parametrize("budget", [0.1, 50_000])
def test_partly_loaded_network_gives_the_same(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, budget: float
) -> None:
    faces, patcher = crops.movedim(-1, 1), host.patcher(tiny)
    whole = tiny(faces, 0.5)
    patcher.partially_load(patcher.load_device, budget)
    assert tiny.model_lowvram
    assert torch.equal(tiny(faces, 0.5), whole)
    patcher.detach()


@pytest.mark.parametrize("budget", [0.1, 50_000])
def test_weights_left_behind_by_a_partial_load_meet_their_input(
    host: SimpleNamespace, tiny_file: Any, crops: torch.Tensor, budget: float
) -> None:
    """The meta device plays the GPU: any weight that nobody brings there raises."""
    core = host.core("models")
    network = core.load_network(tiny_file, operations=host.adapter.operations())
    patcher, faces = host.patcher(network), crops.movedim(-1, 1)
    patcher.load_device = torch.device("meta")
    patcher.partially_load(torch.device("meta"), budget)
    assert next(network.parameters()).device.type == "cpu"
    restored = network(faces.to("meta"), [0.0, 0.3, 0.5, 1.0])
    assert restored.shape == faces.shape
    assert restored.device.type == "meta"


def _with_memory_for(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, network: Any, most: int
) -> list[int]:
    """Make larger batches run out of memory; the returned list grows by each batch tried."""
    tried: list[int] = []
    forward = network.forward

    def limited(crops: torch.Tensor, *rest: Any) -> torch.Tensor:
        tried.append(len(crops))
        if len(crops) > most:
            raise host.memory.OOM_EXCEPTION("out of memory, says the test")
        return forward(crops, *rest)

    monkeypatch.setattr(network, "forward", limited)
    return tried


def test_out_of_memory_halves_the_batch(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fidelities = [0.0, 0.3, 0.6, 1.0]
    expected = torch.cat(
        [host.restore(tiny, crop[None], w) for crop, w in zip(crops, fidelities, strict=True)]
    )
    tried = _with_memory_for(host, monkeypatch, tiny, most=1)
    torch.testing.assert_close(host.restore(tiny, crops, fidelities), expected, atol=1e-5, rtol=0)
    assert tried == [4, 2, 1, 1, 1, 1]


def test_out_of_memory_on_a_single_face_is_said_and_the_model_survives(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _with_memory_for(host, patch, tiny, most=0)
        with pytest.raises(host.memory.OOM_EXCEPTION, match="no room for even one face"):
            host.restore(tiny, crops)
    assert torch.isfinite(host.restore(tiny, crops)).all()


def test_cancel_inside_the_network_leaves_the_next_call_right(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    expected = host.restore(tiny, crops)
    host.memory.interrupt_current_processing(True)
    with pytest.raises(host.memory.InterruptProcessingException):
        host.restore(tiny, crops)
    assert torch.equal(host.restore(tiny, crops), expected)


@pytest.mark.parametrize(("free", "faces"), [(0, 1), (3.9, 3), (HUGE, 32)])
def test_batch_size_follows_free_memory(
    host: SimpleNamespace, tiny: Any, monkeypatch: pytest.MonkeyPatch, free: float, faces: int
) -> None:
    runtime = host.adapter.HostRuntime()
    monkeypatch.setattr(runtime, "device", lambda network: torch.device("cuda"))
    available = free * tiny.bytes_per_face
    monkeypatch.setattr(host.memory, "get_free_memory", lambda device: available)
    assert runtime.batch_size(tiny, tiny.bytes_per_face) == faces


def test_plain_layers_are_moved_as_a_whole(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    host.patcher(plain).load_device = torch.device("meta")
    monkeypatch.setattr(host.memory, "load_models_gpu", lambda patchers, **_: None)
    host.adapter.HostRuntime().load(plain, 0.0)
    assert {value.device.type for value in plain.state_dict().values()} == {"meta"}


def test_the_newest_face_is_the_preview_of_the_progress_bar(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    bar = importlib.import_module("comfy.utils").ProgressBar
    monkeypatch.setattr(
        bar, "update_absolute", lambda bar, done, total, preview: shown.append(preview)
    )
    host.restore(tiny, crops)
    (_, picture, _) = shown[-1]
    assert picture.size == (64, 64)


def test_a_model_that_knew_people_for_one_run_leaves_nothing_unmanaged(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    """What it was made of stays in the hands of the host, which alone can free it."""
    recogniser = host.core("people.recogniser").Recogniser(host.shared.identity_network())
    known = host.core("people.restorer").PeopleRestorer(tiny, recogniser)
    expected = host.restore(tiny, crops)
    host.memory.unload_all_models()
    torch.testing.assert_close(host.restore(known, crops), expected)
    del known
    gc.collect()
    host.memory.cleanup_models_gc()
    assert host.patcher(tiny) in _loaded(host)
    host.memory.free_memory(HUGE, host.patcher(tiny).load_device)
    assert host.patcher(tiny) not in _loaded(host)
