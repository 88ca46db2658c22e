"""Restoring aligned crops: chunks, fidelity, sizes and faces that do not come out."""

import weakref

import pytest
import torch

from codeformer_core.errors import OutOfMemoryError, PictureError, SettingError
from codeformer_core.images import from_network, to_network
from codeformer_core.networks import CodeFormerConfig, VQGANConfig
from codeformer_core.pipeline import restore_crops, try_restore_crops


class Recorder:
    """Returns its input and remembers every call; gives NaN for crops brighter than `limit`."""

    config = CodeFormerConfig(VQGANConfig(image_size=32, multipliers=(1, 2)), fusion_sizes=())
    size = 32

    def __init__(self, limit: float = 2.0) -> None:
        self.limit = limit
        self.calls: list[tuple[int, object, object]] = []

    def __call__(self, crops, fidelity=0.5, adain=None):
        self.calls.append((len(crops), fidelity, adain))
        assert not torch.is_grad_enabled()
        bright = crops.flatten(1).mean(1) > self.limit
        return torch.where(bright[:, None, None, None], torch.nan, crops)


def some_crops(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(0))


def test_result_is_the_networks_own(tiny_codeformer):
    crops = some_crops(2, 64)
    restored = restore_crops(tiny_codeformer, crops, 0.7, chunk=2)
    expected = from_network(tiny_codeformer(to_network(crops), 0.7))
    assert restored.shape == (2, 64, 64, 3)
    assert torch.equal(restored, expected)


def test_chunks_change_nothing(tiny_codeformer):
    crops = some_crops(5, 64)
    whole = restore_crops(tiny_codeformer, crops, [0, 0.2, 0.5, 0.5, 1], chunk=5)
    parts = restore_crops(tiny_codeformer, crops, [0, 0.2, 0.5, 0.5, 1], chunk=2)
    assert torch.allclose(whole, parts, atol=1e-5)


def test_every_chunk_gets_its_own_fidelities():
    recorder = Recorder()
    restore_crops(recorder, some_crops(5), [0, 0, 0.25, 0.5, 1], chunk=2, adain=False)
    assert [count for count, _, _ in recorder.calls] == [2, 2, 1]
    first, second, third = (fidelity for _, fidelity, _ in recorder.calls)
    assert first == 0  # one number, so that the network can leave the fusion out
    assert torch.equal(second, torch.tensor([0.25, 0.5]))
    assert third == 1
    assert all(adain is False for _, _, adain in recorder.calls)


def test_crops_of_another_size_are_resized():
    restored = restore_crops(Recorder(), torch.full((1, 100, 100, 3), 0.25))
    assert restored.shape == (1, 32, 32, 3)
    assert torch.allclose(restored, torch.tensor(0.25), atol=1e-6)


def test_values_outside_the_range_do_not_reach_the_network():
    crops = torch.full((1, 32, 32, 3), 7.0)
    assert float(restore_crops(Recorder(limit=1.5), crops).max()) == 1


def test_a_broken_face_is_reported_and_left_as_it_was():
    crops = torch.stack([torch.full((32, 32, 3), value) for value in (0.1, 0.9, 0.2, 0.8)])
    restored = try_restore_crops(Recorder(limit=0.5), crops, chunk=3)
    assert restored.broken == (1, 3)
    assert torch.allclose(restored.crops, crops, atol=1e-6)


def test_broken_faces_raise_where_nobody_asked_for_them():
    crops = torch.stack([torch.full((32, 32, 3), value) for value in (0.1, 0.9)])
    with pytest.raises(PictureError, match="face 2"):
        restore_crops(Recorder(limit=0.5), crops)


def test_no_face_gives_an_empty_batch_without_a_call():
    recorder = Recorder()
    assert restore_crops(recorder, some_crops(0)).shape == (0, 32, 32, 3)
    assert recorder.calls == []


def test_progress_counts_faces():
    seen: list[tuple[int, int]] = []
    restore_crops(Recorder(), some_crops(5), chunk=2, on_progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, float("nan"), [0.5, 2.0]])
def test_fidelity_outside_its_range_is_refused(fidelity):
    with pytest.raises(SettingError, match="between 0 and 1"):
        restore_crops(Recorder(), some_crops(2), fidelity)


def test_fidelities_must_match_the_faces():
    with pytest.raises(SettingError, match="3 values for 2 faces"):
        restore_crops(Recorder(), some_crops(2), [0.1, 0.2, 0.3])


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (32, 32, 3), (1, 32, 31, 3), (1, 32, 32, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(PictureError, match="aligned square faces"):
        restore_crops(Recorder(), torch.zeros(shape))


def test_chunk_must_hold_a_face():
    with pytest.raises(SettingError, match="chunk"):
        restore_crops(Recorder(), some_crops(1), chunk=0)


# ---------------------------------------------------------------------------------- out of memory


def limited(network, monkeypatch, most: int) -> list[int]:
    """Make larger batches run out of memory; the returned list grows by each batch tried."""
    tried: list[int] = []
    forward = network.forward
    failed: list[weakref.ref] = []

    def forward_if_small(crops, *rest):
        assert not any(reference() is not None for reference in failed), "still held when retried"
        tried.append(len(crops))
        if len(crops) > most:
            failed.append(weakref.ref(crops))
            raise torch.cuda.OutOfMemoryError("out of memory, says the test")
        return forward(crops, *rest)

    monkeypatch.setattr(network, "forward", forward_if_small)
    return tried


def test_out_of_memory_halves_the_chunk_and_goes_on_with_that(tiny_codeformer, monkeypatch):
    crops, fidelities = some_crops(7, 64), [0, 0.1, 0.2, 0.5, 0.5, 0.8, 1]
    expected = restore_crops(tiny_codeformer, crops, fidelities, chunk=1)
    emptied, seen = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    tried = limited(tiny_codeformer, monkeypatch, most=2)
    restored = restore_crops(
        tiny_codeformer, crops, fidelities, chunk=6, on_progress=lambda *at: seen.append(at)
    )
    assert torch.allclose(restored, expected, atol=1e-5)
    assert tried == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    assert len(emptied) == 2
    assert seen == [(done, 7) for done in range(1, 8)]


def test_a_chunk_larger_than_the_batch_is_halved_from_the_batch(tiny_codeformer, monkeypatch):
    tried = limited(tiny_codeformer, monkeypatch, most=1)
    restore_crops(tiny_codeformer, some_crops(2, 64), chunk=100)
    assert tried == [2, 1, 1]


def test_no_room_for_one_face_is_an_error_with_a_remedy(tiny_codeformer, monkeypatch):
    tried = limited(tiny_codeformer, monkeypatch, most=0)
    with pytest.raises(OutOfMemoryError, match=r"one face of 64 px.*--device cpu"):
        restore_crops(tiny_codeformer, some_crops(4, 64))
    assert tried == [4, 2, 1]


def test_a_hosts_wrapper_halves_by_itself_and_its_error_stays_its_own():
    error, tried = torch.cuda.OutOfMemoryError("out of memory, says the host"), []

    class Wrapper(Recorder):
        def __call__(self, crops, fidelity=0.5, adain=None):
            tried.append(len(crops))
            raise error

    with pytest.raises(torch.cuda.OutOfMemoryError) as raised:
        restore_crops(Wrapper(), some_crops(4))
    assert raised.value is error
    assert tried == [4]
