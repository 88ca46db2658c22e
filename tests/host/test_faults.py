"""Cancel, no memory and eviction at any place: the run ends as it should, and the next is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from skimage import data
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.checkpoints import save_network
from codeformer_core.networks import CodeFormer, CodeFormerConfig, VQGANConfig

SIDE = 240
PLACES = 24
"""Of a job, spread over all of it, at which something is made to go wrong."""


@dataclass
class Scene:
    """Four faces in two frames, and the host to show them to."""

    host: SimpleNamespace
    model: Any
    image: torch.Tensor
    faces: Any
    evicting: bool = False

    def run(self, node: str, **inputs: Any) -> Any:
        """First output of a node; with `evicting`, after the host took the models from memory."""
        if self.evicting:
            self.host.memory.unload_all_models()
        with torch.inference_mode():
            return self.host.nodes[f"CodeFormer{node}"].execute(**inputs).args[0]


Job = Callable[[Scene], torch.Tensor]


def in_one_node(scene: Scene) -> torch.Tensor:
    return scene.run(
        "RestoreImage", image=scene.image, fidelity=0.5, model=scene.model, faces=scene.faces
    )


def in_blocks(scene: Scene) -> torch.Tensor:
    given = {"image": scene.image, "faces": scene.faces}
    crops = scene.run("CropFaces", **given, model=scene.model)
    return scene.run(
        "PasteFaces",
        **given,
        crops=scene.run("RestoreFaces", crops=crops, fidelity=0.5, model=scene.model),
    )


def through_codes(scene: Scene) -> torch.Tensor:
    crops = scene.run("CropFaces", image=scene.image, faces=scene.faces, model=scene.model)
    codes = scene.run("EncodeFaces", crops=crops, model=scene.model)
    return scene.run("DecodeFaces", codes=codes, fidelity=0.5)


def inpainting(scene: Scene) -> torch.Tensor:
    given = {"image": scene.image, "faces": scene.faces, "model": scene.model}
    return scene.run("InpaintFaces", **given, fidelity=0.5, mask=torch.ones(1, SIDE, SIDE))


def colouring(scene: Scene) -> torch.Tensor:
    given = {"image": scene.image, "faces": scene.faces, "model": scene.model}
    return scene.run("ColorizeFaces", **given, fidelity=0.5)


JOBS: list[Job] = [in_one_node, in_blocks, through_codes, inpainting, colouring]


@pytest.fixture
def model(host: SimpleNamespace, tiny_file: Path) -> Iterator[Any]:
    """A model of 32 px, for jobs that run hundreds of times."""
    vqgan = VQGANConfig(32, 32, (1, 2), 1, (), codebook_size=64, code_channels=32)
    torch.manual_seed(0)
    network = CodeFormer(CodeFormerConfig(vqgan, width=64, layers=2, fusion_sizes=(16,)))
    yield host.shared.restorer(save_network(tiny_file.with_name("least.safetensors"), network).name)
    host.memory.unload_all_models()


@pytest.fixture
def scene(host: SimpleNamespace, model: Any, make_faces: Any) -> Scene:
    """The scene, with the smallest model."""
    image = torch.rand(2, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(8)) * 0.9
    faces = make_faces((60, 60, 0), (170, 60, 0), (60, 150, 1), (170, 170, 1), frames=2)
    return Scene(host, model, image, faces)


class Counter:
    """Counts what happens, and raises at one of the times."""

    def __init__(self, at: int = 0, error: BaseException | None = None) -> None:
        self.count, self.at, self.error = 0, at, error

    def tick(self) -> None:
        """Once more."""
        self.count += 1
        if self.count == self.at and self.error is not None:
            raise self.error


def spread(count: int) -> range:
    """Some of the places 1 to `count`, evenly."""
    return range(1, count + 1, max(1, count // PLACES))


@contextmanager
def cancelling(scene: Scene, counter: Counter) -> Iterator[None]:
    """Count how often the host is asked whether the user pressed Cancel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene.host.memory, "throw_exception_if_processing_interrupted", counter.tick)
        yield


class Operations(TorchDispatchMode):
    """Counts tensor operations: each may need memory."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        self.counter.tick()
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("job", JOBS)
def test_cancel_at_any_check_leaves_the_next_run_right(scene: Scene, job: Job) -> None:
    expected, counted = job(scene), Counter()
    with cancelling(scene, counted):
        job(scene)
    assert counted.count > 0, "Cancel is never noticed"
    for place in spread(counted.count):
        error = scene.host.memory.InterruptProcessingException()
        with pytest.raises(type(error)), cancelling(scene, Counter(place, error)):
            job(scene)
        assert torch.equal(job(scene), expected), f"cancelled at check {place}"


@pytest.mark.parametrize("job", JOBS)
def test_no_memory_at_any_operation_ends_in_smaller_parts_or_in_the_hosts_error(
    scene: Scene, job: Job
) -> None:
    expected, counted = job(scene), Counter()
    with Operations(counted):
        job(scene)
    finished = 0
    for place in spread(counted.count):
        error = scene.host.memory.OOM_EXCEPTION("out of memory, says the test")
        try:
            with Operations(Counter(place, error)):
                result = job(scene)
        except type(error):
            pass
        else:
            finished += 1
            torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)
        assert torch.equal(job(scene), expected), f"no memory at operation {place}"
    assert finished, "the network was never tried again in smaller parts"


@pytest.mark.parametrize("job", JOBS)
def test_eviction_between_any_two_nodes_changes_nothing(scene: Scene, job: Job) -> None:
    expected = job(scene)
    scene.evicting = True
    assert torch.equal(job(scene), expected)


def test_a_broken_frame_leaves_the_others_right(host: SimpleNamespace, tiny: Any) -> None:
    portrait = torch.from_numpy(data.astronaut()[:256, 96:352].copy()).float() / 255
    frames = torch.stack([portrait, torch.full_like(portrait, float("nan")), portrait.flip(1)])

    def restored(image: torch.Tensor) -> tuple[torch.Tensor, Any]:
        with torch.inference_mode():
            node = host.nodes["CodeFormerRestoreImage"]
            result = node.execute(image=image, fidelity=0.5, model=tiny, min_size=40).args
        return result[0], result[2]

    whole, faces = restored(frames)
    sound, _ = restored(frames[::2])
    assert [len(found) for found in faces.frames] == [1, 0, 1]
    torch.testing.assert_close(whole[::2], sound, atol=1e-4, rtol=0)
    assert whole[1].isnan().all()
