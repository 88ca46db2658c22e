"""The faces of a run: which to train on, which to validate on."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import SettingError
from .albums import Album, split_people
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
    pictures, held = _pictures(config)
    if not pictures:
        raise SettingError(f"{config.data}: hold_out leaves no face to train on")
    mixture = Mixture(config.strong, config.mild, config.mild_share, config.clean_share)
    faces = _face_set(config, pictures)
    batches = FaceBatches(
        faces,
        config.batch_size,
        device,
        config.seed,
        mixture if config.stage > 1 else None,
        config.augmentation,
        _album(config, faces, device),
    )
    if not held:
        return batches, None
    faces = _face_set(config, held)
    size = min(len(faces), config.batch_size // config.gradient_accumulation_steps)
    validation = dataclasses.replace(
        batches,
        faces=faces,
        size=size,
        seed=VALIDATION_SEED,
        augmentation=UNCHANGED,
        album=_album(config, faces, device, strangers=0.0),
    )
    return batches, validation


def _pictures(config: RunConfig) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Those to train on, and those to validate on."""
    found, size = find_pictures(Path(config.data)), config.model.vqgan.image_size
    if config.references.sides:
        return split_people(found, config.references, size)
    pictures, held = hold_out(found, config.hold_out)
    held = [picture for picture in held if picture.side >= size]
    if config.validation:
        return [*pictures, *held], find_pictures(Path(config.validation))
    return pictures, held


def _face_set(config: RunConfig, pictures: Sequence[StoredPicture]) -> FaceSet:
    memory = config.memory_mb << 20
    return FaceSet(pictures, config.model.vqgan.image_size, memory, config.workers)


def _album(
    config: RunConfig, faces: FaceSet, device: torch.device, **changes: float
) -> Album | None:
    settings = dataclasses.replace(config.references, **changes)
    return Album(faces, settings, config.seed, device) if settings.sides else None
