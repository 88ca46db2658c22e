"""Batches: the same for the same step, and degraded as asked."""

from pathlib import Path

import numpy as np
import pytest
import torch

from codeformer_core.errors import PictureError
from codeformer_core.training.data import FaceBatches, load_faces


def test_faces_are_read_at_one_size_and_never_enlarged(face_folder: Path) -> None:
    assert load_faces(face_folder, 64).shape == (8, 64, 64, 3)
    with pytest.raises(PictureError, match="128"):
        load_faces(face_folder, 128)


def test_unreadable_picture_is_named(face_folder: Path) -> None:
    (face_folder / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"broken\.png"):
        load_faces(face_folder, 64)


def test_batch_depends_on_seed_and_step_only(face_folder: Path) -> None:
    faces = load_faces(face_folder, 64)
    batches = FaceBatches(faces, 4, seed=5)
    assert torch.equal(batches.at(7).clean, FaceBatches(faces, 4, seed=5).at(7).clean)
    assert not torch.equal(batches.at(7).clean, batches.at(8).clean)
    assert not torch.equal(batches.at(7).clean, FaceBatches(faces, 4, seed=6).at(7).clean)


def test_degraded_faces_are_the_clean_ones_but_worse(face_folder: Path) -> None:
    batch = FaceBatches(load_faces(face_folder, 64), 8).at(0)
    assert batch.degraded is not None
    difference = (batch.degraded - batch.clean).abs().mean((1, 2, 3))
    assert (difference > 0.005).all()
    assert (difference < 0.4).all()
    assert batch.clean.min() >= -1
    assert batch.clean.max() <= 1


def test_flat_face_stays_flat_under_augmentation() -> None:
    faces = np.full((1, 64, 64, 3), 128, np.uint8)
    clean = FaceBatches(faces, 16, degrade=False).at(0).clean
    assert clean.std((2, 3)).max() < 1e-3
