"""Batches: the same for the same step, whoever makes them, and degraded as asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from codeformer_core.degradation import DegradationRange
from codeformer_core.errors import SettingError
from codeformer_core.training.augmentation import UNCHANGED, Augmentation
from codeformer_core.training.data import FRESH, FaceBatches
from codeformer_core.training.sources import FaceSet, find_pictures


@pytest.fixture
def batches(face_folder: Path) -> FaceBatches:
    """Batches of four of the eight faces."""
    return FaceBatches(FaceSet(find_pictures(face_folder), 64), 4, seed=5)


def test_batch_depends_on_seed_and_step_only(batches: FaceBatches) -> None:
    clean = batches.at(7).clean
    assert torch.equal(clean, replace(batches).at(7).clean)
    assert not torch.equal(clean, batches.at(8).clean)
    assert not torch.equal(clean, replace(batches, seed=6).at(7).clean)


@pytest.mark.parametrize("on_device", [False, True])
def test_parts_of_a_batch_make_up_the_batch(batches: FaceBatches, on_device: bool) -> None:
    batches = replace(batches, on_device=on_device)
    cpu = torch.device("cpu")
    whole = batches.at(3).on(cpu)
    parts = [batches.at(3, places).on(cpu) for places in (range(0, 1), range(1, 4))]
    assert whole.degraded is not None
    assert torch.equal(torch.cat([part.clean for part in parts]), whole.clean)
    degraded = torch.cat([part.degraded for part in parts if part.degraded is not None])
    assert (degraded - whole.degraded).abs().mean() < 0.01


def test_every_face_comes_once_an_epoch() -> None:
    faces = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    batches = FaceBatches(faces, 3, degrade=False, augmentation=UNCHANGED)
    levels = [
        ((batches.at(step).clean[:, 0, 0, 0] + 1) / 2 * 255).round().int().tolist()
        for step in range(4)
    ]
    assert sorted(levels[0] + levels[1]) == sorted(levels[2] + levels[3]) == list(range(6))
    assert levels[0] + levels[1] != levels[2] + levels[3]


def test_batches_made_ahead_are_the_batches(batches: FaceBatches) -> None:
    parts = (range(0, 2), range(2, 4))
    made = list(batches.ahead(range(2, 6), parts, workers=2))
    assert len(made) == 4
    for step, batch in zip(range(2, 6), made, strict=True):
        for places, part in zip(parts, batch, strict=True):
            assert torch.equal(part.clean, batches.at(step, places).clean)


def test_degraded_faces_are_the_clean_ones_but_worse(batches: FaceBatches) -> None:
    for on_device in (False, True):
        batch = replace(batches, on_device=on_device, size=8).at(0).on(torch.device("cpu"))
        assert batch.degraded is not None
        difference = (batch.degraded - batch.clean).abs().mean((1, 2, 3))
        assert (difference > 0.005).all()
        assert (difference < 0.4).all()
        assert batch.clean.min() >= -1
        assert batch.clean.max() <= 1


def test_fixed_variants_come_back_under_their_key(batches: FaceBatches) -> None:
    batches = replace(batches, augmentation=Augmentation(variants=2))
    assert batches.variants == 16
    seen: dict[int, torch.Tensor] = {}
    for step in range(16):
        batch = batches.at(step)
        for key, clean in zip(batch.keys.tolist(), batch.clean, strict=True):
            assert torch.equal(seen.setdefault(key, clean), clean)
    assert set(seen) <= set(range(16))
    assert len(seen) > 10


def test_fresh_variants_have_no_key(batches: FaceBatches) -> None:
    assert batches.at(0).keys.tolist() == [FRESH] * 4


def test_flat_face_stays_flat_under_augmentation() -> None:
    faces = np.full((1, 64, 64, 3), 128, np.uint8)
    clean = FaceBatches(faces, 16, degrade=False).at(0).clean
    assert clean.std((2, 3)).max() < 1e-3


def test_unchanged_is_unchanged() -> None:
    face = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    pixels = UNCHANGED.apply(face, np.random.default_rng(0))
    assert np.array_equal(np.round(pixels * 255).astype(np.uint8), face)


def test_variants_of_the_model_are_ranges_of_degradation(batches: FaceBatches) -> None:
    colourless = replace(batches, strong=DegradationRange(gray_probability=1.0)).at(0)
    assert colourless.degraded is not None
    assert float(colourless.degraded.std(1).max()) < 1e-6
    brushed = DegradationRange(
        (0.0, 0.0), 0.0, downsample=(1.0, 1.0), gaussian_noise=(0.0, 0.0),
        jpeg_quality=(0.0, 0.0), strokes=(2, 4),
    )  # fmt: skip
    batch = replace(batches, strong=brushed).at(0)
    assert batch.degraded is not None
    hidden = (batch.degraded == 1).all(1)
    assert 0.02 < float(hidden.float().mean()) < 0.95
    assert torch.allclose(
        batch.degraded.movedim(1, -1)[~hidden], batch.clean.movedim(1, -1)[~hidden], atol=1e-5
    )


def test_augmentation_that_makes_no_sense_is_refused() -> None:
    for changes in ({"flip": 2.0}, {"turn": -1.0}, {"zoom": 1.0}):
        with pytest.raises(SettingError):
            Augmentation(**changes)
