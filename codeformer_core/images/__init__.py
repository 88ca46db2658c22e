"""Pictures: files in and out without loss, and the tensors the rest of the package works on."""

from .picture import READABLE_SUFFIXES, WRITABLE_SUFFIXES, Block, Picture, PictureFormat, format_of
from .reading import picture_files, read_picture, shorter_side
from .tensors import Pixels, as_images, from_network, resize, to_network, to_uint8
from .writing import (
    DiskFullError,
    atomic_write,
    make_folder,
    remove_leftovers,
    what_is_lost,
    write_picture,
    writing_errors,
)

__all__ = [
    "READABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Block",
    "DiskFullError",
    "Picture",
    "PictureFormat",
    "Pixels",
    "as_images",
    "atomic_write",
    "format_of",
    "from_network",
    "make_folder",
    "picture_files",
    "read_picture",
    "remove_leftovers",
    "resize",
    "shorter_side",
    "to_network",
    "to_uint8",
    "what_is_lost",
    "write_picture",
    "writing_errors",
]
