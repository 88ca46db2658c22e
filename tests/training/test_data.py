"""Batches: the same for the same step, whoever makes them, and degraded as asked."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.degradation import DegradationRange
from codeformer_core.errors import SettingError
from codeformer_core.training.augmentation import LOOK, UNCHANGED, Augmentation
from codeformer_core.training.data import FaceBatches, FaceOrder, Mixture
from codeformer_core.training.sources import FaceSet, find_pictures

EVERYTHING = Augmentation(eyelids=0.3, mouth=0.3, occluder=0.3, melt=0.3)
CPU = torch.device("cpu")


class Given:
    """Faces that are there already."""

    def __init__(self, faces: Tensor) -> None:
        self.faces, self.size = faces, faces.shape[1]
        self.weights = [1.0] * len(faces)

    def take(self, indices: np.ndarray, device: torch.device) -> Tensor:
        return self.faces[torch.from_numpy(indices)]

    def expect(self, indices: np.ndarray) -> None:
        pass


@pytest.fixture
def batches(face_folder: Path) -> FaceBatches:
    """Batches of four of the eight faces."""
    return FaceBatches(FaceSet(find_pictures(face_folder), 64), 4, seed=5)


def test_batch_depends_on_seed_and_step_only(batches: FaceBatches) -> None:
    clean = batches.at(7).clean
    assert torch.equal(clean, replace(batches).at(7).clean)
    assert not torch.equal(clean, batches.at(8).clean)
    assert not torch.equal(clean, replace(batches, seed=6).at(7).clean)


def test_parts_of_a_batch_make_up_the_batch(batches: FaceBatches) -> None:
    batches = replace(batches, augmentation=EVERYTHING)
    whole = batches.at(3)
    parts = [batches.at(3, places) for places in (range(0, 1), range(1, 4))]
    assert whole.degraded is not None
    joined = torch.cat([part.clean for part in parts])
    assert torch.allclose(joined, whole.clean, atol=1e-5)
    degraded = torch.cat([part.degraded for part in parts if part.degraded is not None])
    # The last bit of a float can push a JPEG coefficient to its other neighbour, no more.
    assert (degraded - whole.degraded).abs().mean() < 0.01
    assert torch.equal(torch.cat([part.chances for part in parts]), whole.chances)


def test_every_face_comes_once_an_epoch() -> None:
    faces = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 8, 8, 3)
    batches = FaceBatches(Given(faces), 3, mixture=None, augmentation=UNCHANGED)
    levels = [
        ((batches.at(step).clean[:, 0, 0, 0] + 1) / 2 * 255).round().int().tolist()
        for step in range(4)
    ]
    assert sorted(levels[0] + levels[1]) == sorted(levels[2] + levels[3]) == list(range(6))
    assert levels[0] + levels[1] != levels[2] + levels[3]


def test_faces_come_as_often_as_they_weigh() -> None:
    weights = [0.5] * 40 + [1.0] * 40 + [2.5] * 8
    order = FaceOrder(weights, seed=3)
    assert order.length == 80
    epochs = [Counter(order.at(np.arange(80) + 80 * epoch).tolist()) for epoch in range(6)]
    for counts in epochs:
        for index, weight in enumerate(weights):
            assert np.floor(weight) <= counts[index] <= np.ceil(weight)
    total = sum(epochs, Counter())
    assert sum(total[index] for index in range(40)) == pytest.approx(120, abs=4)
    assert epochs[0] != epochs[1]


def test_degraded_faces_are_the_clean_ones_but_worse(batches: FaceBatches) -> None:
    batch = replace(batches, size=8).at(0)
    assert batch.degraded is not None
    difference = (batch.degraded - batch.clean).abs().mean((1, 2, 3))
    assert (difference > 0.005).all()
    assert (difference < 0.4).all()
    assert batch.clean.min() >= -1
    assert batch.clean.max() <= 1


def test_some_faces_are_not_degraded_at_all(batches: FaceBatches) -> None:
    batch = replace(batches, size=64, mixture=Mixture(mild_share=0.3, clean_share=0.4)).at(0)
    assert batch.degraded is not None
    same = (batch.degraded - batch.clean).abs().amax((1, 2, 3)) < 1e-4
    assert 12 < int(same.sum()) < 40


def test_fixed_variants_come_back_under_their_key(batches: FaceBatches) -> None:
    batches = replace(batches, augmentation=Augmentation(variants=2, occluder=0.5))
    assert batches.variants == 16
    seen: dict[int, torch.Tensor] = {}
    for step in range(16):
        batch = batches.at(step)
        assert batch.keys is not None
        for key, clean in zip(batch.keys.tolist(), batch.clean, strict=True):
            assert torch.equal(seen.setdefault(key, clean), clean)
    assert set(seen) <= set(range(16))
    assert len(seen) > 10


def test_fresh_variants_have_no_key(batches: FaceBatches) -> None:
    assert batches.at(0).keys is None


def test_flat_face_stays_flat_under_augmentation() -> None:
    faces = Given(torch.full((1, 64, 64, 3), 128, dtype=torch.uint8))
    moving = replace(EVERYTHING, occluder=0.0)
    clean = FaceBatches(faces, 16, mixture=None, augmentation=moving).at(0).clean
    assert clean.std((2, 3)).max() < 1e-3


def test_unchanged_is_unchanged() -> None:
    faces = torch.randint(256, (2, 16, 16, 3), dtype=torch.uint8)
    planes = UNCHANGED.apply(faces, torch.rand(2, LOOK))
    assert torch.equal((planes * 255).round().to(torch.uint8).movedim(1, -1), faces)


class Operations(TorchDispatchMode):
    """Counts what a device is asked to do, and how often it is asked for a number."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.answers = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        self.answers += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_operations_of_a_batch_do_not_depend_on_its_size() -> None:
    faces = Given(torch.randint(256, (200, 16, 16, 3), dtype=torch.uint8))
    mixture = Mixture(mild_share=0.4, clean_share=0.1)
    counts = []
    for size in (2, 2, 64):  # what is made once is made the first time
        batches = FaceBatches(faces, size, mixture=mixture, augmentation=EVERYTHING)
        batches.at(0)
        with Operations() as operations:
            batches.at(1)
        assert operations.answers == 0
        counts.append(operations.count)
    assert counts[1] == counts[2]


def test_a_batch_costs_the_host_next_to_nothing() -> None:
    faces = Given(torch.randint(256, (200, 16, 16, 3), dtype=torch.uint8))
    mixture = Mixture(DegradationRange(sensor_noise=(0.0, 10.0)), mild_share=0.4, clean_share=0.1)
    batches = FaceBatches(faces, 64, mixture=mixture)
    batches.at(0)
    seconds = []
    for step in range(1, 21):
        started = time.perf_counter()
        batches.at(step)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.03  # 10 ms on an idle core, operations on the pixels included


def test_variants_of_the_model_are_ranges_of_degradation(batches: FaceBatches) -> None:
    colourless = Mixture(DegradationRange(gray_probability=1.0))
    gray = replace(batches, mixture=colourless).at(0)
    assert gray.degraded is not None
    assert float(gray.degraded.std(1).max()) < 1e-6
    brushed = replace(DegradationRange.none(), strokes=(2, 4))
    batch = replace(batches, mixture=Mixture(brushed)).at(0)
    assert batch.degraded is not None
    hidden = (batch.degraded == 1).all(1)
    assert 0.02 < float(hidden.float().mean()) < 0.95
    assert torch.allclose(
        batch.degraded.movedim(1, -1)[~hidden], batch.clean.movedim(1, -1)[~hidden], atol=1e-4
    )


def test_augmentation_that_makes_no_sense_is_refused() -> None:
    for changes in ({"flip": 2.0}, {"turn": -1.0}, {"zoom": 1.0}, {"eyelids": 1.5}):
        with pytest.raises(SettingError):
            Augmentation(**changes)
