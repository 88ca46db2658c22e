"""The faces of a run: which to train on, which to validate on."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import SettingError
from .augmentation import UNCHANGED
from .config import RunConfig
from .data import FaceBatches, Mixture
from .sources import FaceSet, StoredPicture, find_pictures, hold_out

VALIDATION_SEED = 20_220_622
"""Of the validation faces' degradations, the same in every run."""


def make_batches(config: RunConfig, device: torch.device) -> tuple[FaceBatches, FaceBatches | None]:
    """Faces to train on, and faces to validate on if there are any.

    Raises:
        PictureError: no usable faces.
        SettingError: nothing is left to train on.
    """
    pictures, held = hold_out(find_pictures(Path(config.data)), config.hold_out)
    held = [picture for picture in held if picture.side >= config.model.vqgan.image_size]
    if config.validation:
        pictures, held = [*pictures, *held], find_pictures(Path(config.validation))
    if not pictures:
        raise SettingError(f"{config.data}: hold_out leaves no face to train on")
    mixture = Mixture(config.strong, config.mild, config.mild_share, config.clean_share)
    batches = FaceBatches(
        _face_set(config, pictures),
        config.batch_size,
        device,
        config.seed,
        mixture if config.stage > 1 else None,
        config.augmentation,
    )
    if not held:
        return batches, None
    faces = _face_set(config, held)
    size = min(len(faces), config.batch_size // config.gradient_accumulation_steps)
    validation = dataclasses.replace(
        batches, faces=faces, size=size, seed=VALIDATION_SEED, augmentation=UNCHANGED
    )
    return batches, validation


def _face_set(config: RunConfig, pictures: Sequence[StoredPicture]) -> FaceSet:
    memory = config.memory_mb << 20
    return FaceSet(pictures, config.model.vqgan.image_size, memory, config.workers)
