"""Pictures: files in and out without loss, and the tensors the rest of the package works on."""

from .disk import DiskFullError, atomic_write, make_folder, writing_errors
from .kinds import (
    WRITABLE_SUFFIXES,
    PictureFormat,
    Unread,
    format_of,
    picture_files,
    readable_suffixes,
    unread_kind,
)
from .opacity import resize_visible, without_hidden
from .picture import Block, Coding, JpegSource, Picture
from .reading import read_picture, shorter_side
from .tensors import Pixels, as_images, from_network, resize, to_network, to_uint8
from .writing import what_is_lost, write_picture

__all__ = [
    "WRITABLE_SUFFIXES",
    "Block",
    "Coding",
    "DiskFullError",
    "JpegSource",
    "Picture",
    "PictureFormat",
    "Pixels",
    "Unread",
    "as_images",
    "atomic_write",
    "format_of",
    "from_network",
    "make_folder",
    "picture_files",
    "read_picture",
    "readable_suffixes",
    "resize",
    "resize_visible",
    "shorter_side",
    "to_network",
    "to_uint8",
    "unread_kind",
    "what_is_lost",
    "without_hidden",
    "write_picture",
    "writing_errors",
]
