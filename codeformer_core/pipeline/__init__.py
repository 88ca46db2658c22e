"""Whole jobs: restore, encode, decode, inpaint and colorize faces, in crops and in pictures."""

from .codes import EncodedCrops, decode_crops, encode_crops
from .colorizing import colorize
from .crops import RestoredCrops, restore_crops, try_restore_crops
from .inpainting import inpaint
from .painting import PaintedPictures, paste_crops
from .restore import RestoredImage, restore_image
from .sweep import sweep_fidelity

__all__ = [
    "EncodedCrops",
    "PaintedPictures",
    "RestoredCrops",
    "RestoredImage",
    "colorize",
    "decode_crops",
    "encode_crops",
    "inpaint",
    "paste_crops",
    "restore_crops",
    "restore_image",
    "sweep_fidelity",
    "try_restore_crops",
]
