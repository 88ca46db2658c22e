"""The host's memory manager holds our networks: loading, eviction, partial loading, no memory."""

from __future__ import annotations

import gc
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
    """Four faces' worth of noise in network range."""
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _loaded(host: SimpleNamespace) -> list[Any]:
    return host.memory.loaded_models()


def test_a_call_loads_the_whole_network(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    assert tiny.patcher not in _loaded(host)
    tiny(crops)
    assert tiny.patcher in _loaded(host)
    assert tiny.patcher.loaded_size() == tiny.patcher.model_size() > 0


def test_the_host_evicts_it_and_the_next_call_gives_the_same(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    before = tiny(crops)
    host.memory.free_memory(HUGE, tiny.device)
    assert tiny.patcher not in _loaded(host)
    assert torch.equal(tiny(crops), before)


def test_a_model_nobody_uses_is_forgotten(
    host: SimpleNamespace, tiny_file: Any, crops: torch.Tensor
) -> None:
    model = host.models.load_codeformer(tiny_file.name)
    model(crops)
    del model
    gc.collect()
    host.memory.cleanup_models_gc()
    assert _loaded(host) == []


def test_the_host_is_told_how_much_memory_a_batch_needs(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    load = host.memory.load_models_gpu

    def spy(patchers: list[Any], **settings: Any) -> None:
        asked.append(settings)
        load(patchers, **settings)

    monkeypatch.setattr(host.memory, "load_models_gpu", spy)
    tiny(crops[:1])
    tiny(crops)
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
        hosted = host.hosted.HostedCodeFormer(network, "published sizes")
        crops = torch.zeros(2, 3, 512, 512)
        with _Allocations() as counted:
            network(crops, 0.5)
    assert counted.peak < 2 * hosted.memory_per_crop < 1.5 * counted.peak


@pytest.mark.parametrize("budget", [0.1, 50_000])
def test_partly_loaded_network_gives_the_same(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, budget: float
) -> None:
    whole = tiny.network(crops, 0.5)
    tiny.patcher.partially_load(tiny.device, budget)
    assert tiny.network.model_lowvram
    assert torch.equal(tiny.network(crops, 0.5), whole)
    tiny.patcher.detach()


@pytest.mark.parametrize("budget", [0.1, 50_000])
def test_weights_left_behind_by_a_partial_load_meet_their_input(
    host: SimpleNamespace, tiny_file: Any, crops: torch.Tensor, budget: float
) -> None:
    """The meta device plays the GPU: any weight that nobody brings there raises."""
    core = host.core("models")
    network = core.load_network(tiny_file, operations=host.adapter.operations())
    hosted = host.hosted.HostedCodeFormer(network, "tiny")
    hosted.patcher.load_device = torch.device("meta")
    hosted.patcher.partially_load(torch.device("meta"), budget)
    assert next(network.parameters()).device.type == "cpu"
    restored = network(crops.to("meta"), [0.0, 0.3, 0.5, 1.0])
    assert restored.shape == crops.shape
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
        [tiny(crop[None], value) for crop, value in zip(crops, fidelities, strict=True)]
    )
    tried = _with_memory_for(host, monkeypatch, tiny.network, most=1)
    torch.testing.assert_close(tiny(crops, fidelities), expected, atol=1e-5, rtol=0)
    assert tried == [4, 2, 1, 1, 1, 1]


def test_out_of_memory_on_a_single_face_is_said_and_the_model_survives(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        _with_memory_for(host, patch, tiny.network, most=0)
        with pytest.raises(host.memory.OOM_EXCEPTION):
            tiny(crops)
    assert torch.isfinite(tiny(crops)).all()


def test_cancel_inside_the_network_leaves_the_next_call_right(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    expected = tiny(crops)
    host.memory.interrupt_current_processing(True)
    with pytest.raises(host.memory.InterruptProcessingException):
        tiny(crops)
    assert torch.equal(tiny(crops), expected)


@pytest.mark.parametrize(("free", "faces"), [(0, 1), (3.9, 3), (HUGE, 32)])
def test_batch_size_follows_free_memory(
    host: SimpleNamespace, tiny: Any, monkeypatch: pytest.MonkeyPatch, free: float, faces: int
) -> None:
    monkeypatch.setattr(host.memory, "is_device_cpu", lambda device: False)
    available = free * tiny.memory_per_crop
    monkeypatch.setattr(host.memory, "get_free_memory", lambda device: available)
    assert tiny.chunk() == faces


def test_no_crops_are_no_error(tiny: Any) -> None:
    assert tiny(torch.zeros(0, 3, 64, 64)).shape == (0, 3, 64, 64)


class _Detector:
    """A detector whose network runs out of memory on more than two frames."""

    name = "stub"

    def __init__(self, host: SimpleNamespace) -> None:
        self.network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.types = host.core("faces.types")
        self.error = host.memory.OOM_EXCEPTION

    def detect(self, frames: torch.Tensor, *, runtime: Any = None) -> Any:
        if len(frames) > 2:
            raise self.error("out of memory, says the test")
        faces = [self._face(float(frame[0, 0, 0])) for frame in frames]
        return self.types.Faces(tuple((face,) for face in faces), *frames.shape[1:3])

    def _face(self, score: float) -> Any:
        types = self.types
        points = ((1.0, 1.0), (3.0, 1.0), (2.0, 2.0), (1.0, 3.0), (3.0, 3.0))
        placement = types.Placement(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), 8, 8, 8)
        box = types.Box(0.0, 0.0, 4.0, 4.0)
        return types.Face(box, score, types.Landmarks(*points), placement)


def test_detection_out_of_memory_keeps_frames_in_order(host: SimpleNamespace) -> None:
    hosted = host.hosted.HostedDetector(_Detector(host))
    frames = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 8, 8, 3)
    faces = hosted.detect(frames)
    assert [face.score for face in faces] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert hosted.hosted.patcher in _loaded(host)
    host.memory.unload_all_models()
