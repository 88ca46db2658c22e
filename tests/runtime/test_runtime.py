"""Batches, progress and what happens when memory runs out, in the runtime and in all it runs."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.errors import OutOfMemoryError, SettingError
from codeformer_core.faces import FaceParser, RetinaFaceDetector
from codeformer_core.metrics import distances
from codeformer_core.pipeline import colorize, decode_crops, encode_crops, inpaint, restore_crops
from codeformer_core.pipeline.inpainting import SKETCHES
from codeformer_core.runtime import Runtime
from codeformer_core.runtime.runtime import CPU_BYTES, MOST_ITEMS, MOST_ITEMS_ON_CPU


class OnGPU(Runtime):
    """Believes that it computes on a GPU with some free memory."""

    def __init__(self, free: float) -> None:
        super().__init__()
        self.free = free

    def device(self, network: Any) -> torch.device:
        return torch.device("cuda")

    def free_memory(self, device: torch.device) -> float:
        return self.free


def sizes(runtime: Runtime, count: int, bytes_per_item: float, fits: int = 1000) -> list[int]:
    """How many items were tried at once, where no more than `fits` do fit."""
    tried: list[int] = []

    def step(part: slice) -> int:
        tried.append(part.stop - part.start)
        if tried[-1] > fits:
            raise torch.OutOfMemoryError("out of memory, says the test")
        return part.start

    network = nn.Linear(1, 1)
    for part, result in runtime.batches(network, count, step, bytes_per_item=bytes_per_item):
        assert part.start == result
    return tried


# ----------------------------------------------------------------------------------------- batches


def test_a_batch_on_a_cpu_holds_as_much_as_one_large_face() -> None:
    assert sizes(Runtime(), 5, CPU_BYTES) == [1] * 5
    assert sizes(Runtime(), 5, 10 * CPU_BYTES) == [1] * 5
    assert sizes(Runtime(), 7, CPU_BYTES / 3) == [3, 3, 1]
    assert sizes(Runtime(), 20, 1) == [MOST_ITEMS_ON_CPU, 20 - MOST_ITEMS_ON_CPU]


def test_a_batch_on_a_gpu_holds_what_is_free() -> None:
    assert sizes(OnGPU(10.0), 10, 2.0) == [4, 4, 2]
    assert sizes(OnGPU(1.0), 2, 2.0) == [1, 1]
    assert sizes(OnGPU(1e12), 33, 2.0) == [MOST_ITEMS, 1]


def test_a_batch_size_can_be_chosen() -> None:
    assert sizes(Runtime(batch_size=2), 5, 1e12) == [2, 2, 1]
    with pytest.raises(SettingError, match="batch_size"):
        Runtime(batch_size=0)


def test_no_items_are_no_batch() -> None:
    assert sizes(Runtime(), 0, 1.0) == []


def test_a_full_memory_halves_the_batch_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    assert sizes(Runtime(batch_size=6), 7, 1.0, fits=2) == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    assert len(emptied) == 2


def test_a_batch_larger_than_the_items_is_halved_from_their_number() -> None:
    assert sizes(Runtime(batch_size=100), 2, 1.0, fits=1) == [2, 1, 1]


def test_no_room_for_one_item_is_an_error_with_a_remedy() -> None:
    with pytest.raises(OutOfMemoryError, match=r"cpu has no room for even one face.*--device cpu"):
        sizes(Runtime(), 4, 1.0, fits=0)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_every_device_may_run_out_of_memory(error: Exception) -> None:
    def full() -> None:
        raise error

    assert Runtime().attempt(nn.Linear(1, 1), 0.0, full) is None


def test_other_errors_are_not_swallowed() -> None:
    def broken() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Runtime().attempt(nn.Linear(1, 1), 0.0, broken)


def test_a_failed_try_holds_nothing_while_the_next_one_runs() -> None:
    held: list[weakref.ref[Tensor]] = []

    def step(part: slice) -> int:
        assert all(reference() is None for reference in held)
        activations = torch.zeros(8)
        held.append(weakref.ref(activations))
        if part.stop - part.start > 1:
            raise torch.OutOfMemoryError("out of memory, says the test")
        return part.start

    runtime = Runtime(batch_size=4)
    results = runtime.batches(nn.Linear(1, 1), 4, step, bytes_per_item=1.0)
    assert [result for _, result in results] == [0, 1, 2, 3]


def test_a_result_is_let_go_before_the_next_one_is_made() -> None:
    made: list[weakref.ref[Tensor]] = []

    def step(part: slice) -> Tensor:
        assert all(reference() is None for reference in made)
        made.append(weakref.ref(result := torch.zeros(8)))
        return result

    runtime = Runtime(batch_size=1)
    for _, result in runtime.batches(nn.Linear(1, 1), 3, step, bytes_per_item=1.0):
        del result
    assert len(made) == 3


# ---------------------------------------------------------------------------------------- progress


def test_progress_counts_items_that_the_caller_is_done_with() -> None:
    seen: list[Any] = []
    runtime = Runtime(lambda *at: seen.append(at), batch_size=2)
    batches = runtime.batches(nn.Linear(1, 1), 3, lambda part: part.start, bytes_per_item=1.0)
    for part, _ in batches:
        seen.append(part.stop)
    assert seen == [2, (2, 3), 3, (3, 3)]


def test_shares_of_shares_make_one_scale() -> None:
    seen: list[tuple[int, int]] = []
    runtime = Runtime(lambda *at: seen.append(at))
    first, second = runtime.share(0, 0.5), runtime.share(0.5, 1)
    first.report(1, 2)
    first.report(2, 2)
    second.share(0, 0.5).report(1, 1)
    second.report(1, 1)
    assert seen == [(250, 1000), (500, 1000), (750, 1000), (1000, 1000)]


def test_an_exception_in_progress_stops_the_job() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    started: list[int] = []
    runtime = Runtime(stop, batch_size=1)
    with pytest.raises(KeyboardInterrupt):
        for _ in runtime.batches(
            nn.Linear(1, 1), 3, lambda part: started.append(part.start) or 0, bytes_per_item=1.0
        ):
            pass
    assert started == [0]


# ------------------------------------------------------------- every step survives a full memory


class Limited(nn.Module):
    """Runs out of memory on larger batches; `tried` grows by the size of each batch."""

    def __init__(self, most: int, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.most, self.answer, self.tried = most, answer, list[int]()

    def forward(self, pictures: Tensor) -> Any:
        self.tried.append(len(pictures))
        if len(pictures) > self.most:
            raise torch.OutOfMemoryError("out of memory, says the test")
        return self.answer(pictures)


def limit(monkeypatch: pytest.MonkeyPatch, network: nn.Module, method: str, most: int) -> list[int]:
    """Make a method of a network run out of memory on larger batches."""
    tried: list[int] = []
    honest = getattr(network, method)

    def limited(batch: Any, *rest: Any, **more: Any) -> Any:
        tried.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("out of memory, says the test")
        return honest(batch, *rest, **more)

    monkeypatch.setattr(network, method, limited)
    return tried


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(5, 64, 64, 3, generator=torch.Generator().manual_seed(0))


WIDE = {"runtime": Runtime(batch_size=4)}
NARROW = {"runtime": Runtime(batch_size=1)}


def test_restoring_goes_on_with_less(tiny_codeformer, monkeypatch, crops) -> None:
    fidelities = [0, 0.1, 0.2, 0.5, 1]
    expected = restore_crops(tiny_codeformer, crops, fidelities, **NARROW)
    tried = limit(monkeypatch, tiny_codeformer, "forward", most=2)
    restored = restore_crops(tiny_codeformer, crops, fidelities, **WIDE)
    assert tried == [4, 2, 2, 1]
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_encoding_and_decoding_go_on_with_less(tiny_codeformer, monkeypatch, crops) -> None:
    expected = decode_crops(encode_crops(tiny_codeformer, crops, **NARROW), 0.5, **NARROW)
    encoded = limit(monkeypatch, tiny_codeformer, "encode", most=2)
    decoded = limit(monkeypatch, tiny_codeformer, "decode", most=1)
    result = decode_crops(encode_crops(tiny_codeformer, crops, **WIDE), 0.5, **WIDE)
    assert encoded == [4, 2, 2, 1]
    assert decoded == [4, 2, 1, 1, 1, 1, 1]
    torch.testing.assert_close(result.crops, expected.crops, atol=1e-5, rtol=0)


def test_inpainting_and_colorization_go_on_with_less(tiny_codeformer, monkeypatch, crops) -> None:
    masks = torch.zeros(5, 64, 64)
    masks[:, 20:40] = 1
    filled = inpaint(tiny_codeformer, crops, masks, **NARROW).images
    coloured = colorize(tiny_codeformer, crops, **NARROW).images
    tried = limit(monkeypatch, tiny_codeformer, "forward", most=2)
    again = inpaint(tiny_codeformer, crops, masks, **WIDE).images
    torch.testing.assert_close(again, filled, atol=1e-5, rtol=0)
    again = colorize(tiny_codeformer, crops, **WIDE).images
    torch.testing.assert_close(again, coloured, atol=1e-5, rtol=0)
    passes = SKETCHES + 1
    assert tried == [4, *[2] * passes, *[2] * passes, *[1] * passes, 4, 2, 2, 1]


def test_no_room_for_one_face_says_what_to_do(tiny_codeformer, monkeypatch, crops) -> None:
    tried = limit(monkeypatch, tiny_codeformer, "forward", most=0)
    with pytest.raises(OutOfMemoryError, match=r"even one face.*--device cpu"):
        restore_crops(tiny_codeformer, crops, **WIDE)
    assert tried == [4, 2, 1]


def test_detection_goes_on_with_less_and_keeps_the_order() -> None:
    def answer(pictures: Tensor) -> tuple[Tensor, ...]:
        """A face as large as the picture is bright, at the first anchor of the coarsest grid."""
        anchors = sum((64 // stride) ** 2 * 2 for stride in (8, 16, 32))
        offsets = torch.zeros(len(pictures), anchors, 4)
        scores = torch.zeros(len(pictures), anchors, 2)
        scores[:, -8, 1] = 1.0
        offsets[:, -8, 2:] = (pictures.mean((1, 2, 3)) / 100)[:, None]
        points = torch.tensor([-1.0, -1, 1, -1, 0, 0, -1, 1, 1, 1]).repeat(
            len(pictures), anchors, 1
        )
        return offsets, scores, points

    frames = torch.linspace(0, 1, 5).view(5, 1, 1, 1).expand(5, 64, 64, 3)
    network = Limited(2, answer)
    faces = RetinaFaceDetector(network).detect(frames, search_size=64, **WIDE)
    assert network.tried == [4, 2, 2, 1]
    assert [len(frame) for frame in faces.frames] == [1] * 5
    widths = [face.box.width for face in faces]
    assert widths == sorted(widths) and len(set(widths)) == 5
    with pytest.raises(OutOfMemoryError, match="even one picture"):
        RetinaFaceDetector(Limited(0, answer)).detect(frames, search_size=64)


def test_parsing_goes_on_with_less() -> None:
    def answer(pictures: Tensor) -> tuple[Tensor]:
        scores = torch.zeros(len(pictures), 19, 512, 512)
        scores[:, 1] = (pictures.mean((1, 2, 3)) > 0)[:, None, None]
        return (scores,)

    network, bright = Limited(2, answer), torch.tensor([0.0, 1, 0, 1, 1])
    crops = bright.view(5, 1, 1, 1).expand(5, 512, 512, 3)
    masks = FaceParser(network, "parsenet").masks(crops, **WIDE)
    assert network.tried == [4, 2, 2, 1]
    assert torch.equal(masks[:, 256, 256].round(), bright)


def test_distances_go_on_with_less() -> None:
    class Mean(Limited):
        def bytes_per_pair(self, height: int, width: int) -> float:
            return 1.0

        def distance(self, first: Tensor, second: Tensor) -> Tensor:
            return self(first - second)

    network = Mean(2, lambda difference: difference.mean((1, 2, 3)))
    first = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 8, 8, 3)
    measured = distances(network, first, torch.zeros(5, 8, 8, 3), size=(4, 4), **WIDE)
    assert network.tried == [4, 2, 2, 1]
    torch.testing.assert_close(measured, torch.arange(5.0))
