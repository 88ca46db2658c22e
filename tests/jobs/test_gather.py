"""Faces of several pictures share the passes of the network; each picture gets its own back."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from codeformer_core.jobs.gather import Gathering
from codeformer_core.networks import CodeFormer
from codeformer_core.runtime import Runtime


class Slow:
    """A network that waits before its first pass until others wait too, and notes its passes."""

    size, variant, notice, bytes_per_face = 4, "restoration", None, 1.0

    def __init__(self, waiting: Callable[[], bool]) -> None:
        self.passes: list[int] = []
        self._waiting = waiting

    def parameters(self, recurse: bool = True):
        return iter([torch.nn.Parameter(torch.zeros(1))])

    def __call__(self, crops: Tensor, fidelity: object = 0.5, adain: bool | None = None) -> Tensor:
        while not self.passes and not self._waiting():
            pass
        self.passes.append(len(crops))
        if bool((crops == 13).any()):
            raise ValueError("13")
        return crops + 1


def run(faces: list[int], values: list[float], fidelities: list[float], most: int = 32):
    """What comes back to threads that call with so many faces of these values."""
    start = threading.Event()
    network = Slow(lambda: len(gathering._waiting) == len(faces) - 1)
    gathering = Gathering(network, Runtime(batch_size=most))
    results: dict[int, Tensor | Exception] = {}

    def call(index: int) -> None:
        crops = torch.full((faces[index], 3, 4, 4), values[index])
        if index:
            start.wait()
        else:
            start.set()
        try:
            results[index] = gathering(crops, fidelities[index])
        except ValueError as error:
            results[index] = error

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(faces))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return network.passes, results


def test_faces_that_wait_share_a_pass_and_come_back_to_their_pictures() -> None:
    faces, values = [1, 2, 1, 3], [0.0, 1.0, 2.0, 3.0]
    passes, results = run(faces, values, [0.5] * 4)
    assert len(passes) == 2
    assert sum(passes) == 7
    for index, (count, value) in enumerate(zip(faces, values, strict=True)):
        assert torch.equal(results[index], torch.full((count, 3, 4, 4), value + 1))


def test_a_pass_holds_what_the_memory_does() -> None:
    passes, _ = run([2, 2, 2, 2], [0.0] * 4, [0.5] * 4, most=4)
    assert sorted(passes) == [2, 2, 4]


def test_other_settings_are_another_pass() -> None:
    passes, _ = run([1, 1, 1], [0.0] * 3, [0.5, 0.5, 1.0])
    assert sum(passes) == 3
    assert max(passes) <= 2


def test_only_who_fails_alone_has_failed() -> None:
    _, results = run([1, 1, 1], [0.0, 13.0, 1.0], [0.5] * 3)
    assert isinstance(results[1], ValueError)
    assert torch.equal(results[0], torch.ones(1, 3, 4, 4))
    assert torch.equal(results[2], torch.full((1, 3, 4, 4), 2.0))


def test_a_gathering_is_the_network_to_its_caller(tiny_codeformer: CodeFormer) -> None:
    gathering = Gathering(tiny_codeformer)
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        assert torch.equal(gathering(crops, 0.3), tiny_codeformer(crops, 0.3))
    assert gathering.size == 64
    assert gathering.bytes_per_face == tiny_codeformer.bytes_per_face
    assert gathering.notice == tiny_codeformer.notice


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gathering_waits_for_the_device(tiny_codeformer: CodeFormer) -> None:
    gathering = Gathering(tiny_codeformer.cuda())
    crops = torch.rand(2, 3, 64, 64, device="cuda") * 2 - 1
    assert torch.allclose(gathering(crops), tiny_codeformer(crops), atol=1e-3)
