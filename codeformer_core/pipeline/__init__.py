"""Whole jobs: restore crops, pictures and batches, find the models for them, run the demo."""

from .crops import FaceRestorer, RestoredCrops, restore_crops, try_restore_crops
from .restore import RestoredImage, restore_image

__all__ = [
    "FaceRestorer",
    "RestoredCrops",
    "RestoredImage",
    "restore_crops",
    "restore_image",
    "try_restore_crops",
]
