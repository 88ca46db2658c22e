"""Restoring aligned crops: batches, fidelity, sizes and faces that do not come out."""

import pytest
import torch
from torch import nn

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.images import from_network, to_network
from codeformer_core.pipeline import restore_crops, try_restore_crops
from codeformer_core.runtime import Runtime


class Recorder(nn.Module):
    """Returns its input and remembers every call; gives NaN for crops brighter than `limit`."""

    size = 32
    variant = "restoration"
    bytes_per_face = 1e6
    notice = None

    def __init__(self, limit: float = 2.0) -> None:
        super().__init__()
        self.limit = limit
        self.calls: list[tuple[int, object, object]] = []

    def forward(self, crops, fidelity=0.5, adain=None):
        self.calls.append((len(crops), fidelity, adain))
        assert not torch.is_grad_enabled()
        bright = crops.flatten(1).mean(1) > self.limit
        return torch.where(bright[:, None, None, None], torch.nan, crops)


def some_crops(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(0))


def test_result_is_the_networks_own(tiny_codeformer):
    crops = some_crops(2, 64)
    restored = restore_crops(tiny_codeformer, crops, 0.7)
    expected = from_network(tiny_codeformer(to_network(crops), 0.7))
    assert restored.shape == (2, 64, 64, 3)
    assert torch.equal(restored, expected)


def test_batches_change_nothing(tiny_codeformer):
    crops, fidelities = some_crops(5, 64), [0, 0.2, 0.5, 0.5, 1]
    whole = restore_crops(tiny_codeformer, crops, fidelities, runtime=Runtime(batch_size=5))
    parts = restore_crops(tiny_codeformer, crops, fidelities, runtime=Runtime(batch_size=2))
    assert torch.allclose(whole, parts, atol=1e-5)


def test_every_batch_gets_its_own_fidelities():
    recorder = Recorder()
    fidelities, runtime = [0, 0, 0.25, 0.5, 1], Runtime(batch_size=2)
    restore_crops(recorder, some_crops(5), fidelities, adain=False, runtime=runtime)
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


def test_a_failed_face_is_reported_and_left_as_it_was():
    crops = torch.stack([torch.full((32, 32, 3), value) for value in (0.1, 0.9, 0.2, 0.8)])
    restored = try_restore_crops(Recorder(limit=0.5), crops, runtime=Runtime(batch_size=3))
    assert restored.failed == (1, 3)
    assert any("faces 2, 4 of 4" in warning for warning in restored.warnings)
    assert torch.allclose(restored.crops, crops, atol=1e-6)


def test_failed_faces_raise_where_nobody_asked_for_them():
    crops = torch.stack([torch.full((32, 32, 3), value) for value in (0.1, 0.9)])
    with pytest.raises(PictureError, match="face 2"):
        restore_crops(Recorder(limit=0.5), crops)


def test_no_face_gives_an_empty_batch_without_a_call():
    recorder = Recorder()
    assert restore_crops(recorder, some_crops(0)).shape == (0, 32, 32, 3)
    assert recorder.calls == []


def test_progress_counts_faces():
    seen: list[tuple[int, int]] = []
    runtime = Runtime(lambda *at: seen.append(at), batch_size=2)
    restore_crops(Recorder(), some_crops(5), runtime=runtime)
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


def test_gray_faces_stay_gray_only_if_asked_and_if_colour_is_not_the_point():
    class Tinting(Recorder):
        def forward(self, crops, fidelity=0.5, adain=None):
            return crops * 0.5 + torch.tensor([0.4, 0.0, -0.4]).view(1, 3, 1, 1)

    gray = some_crops(1)[..., :1].expand(-1, -1, -1, 3)
    for variant, keep_gray, stays in (
        ("restoration", True, True),
        ("restoration", False, False),
        ("colorization", True, False),
    ):
        network = Tinting()
        network.variant = variant
        restored = restore_crops(network, gray, keep_gray=keep_gray)
        spread = restored.amax(-1) - restored.amin(-1)
        assert (float(spread.max()) < 1e-5) == stays


def test_crops_larger_than_the_models_are_mentioned():
    assert try_restore_crops(Recorder(), some_crops(1, 40)).warnings == ()
    (warning,) = try_restore_crops(Recorder(), some_crops(2, 80)).warnings
    assert "2 of 2 faces" in warning
