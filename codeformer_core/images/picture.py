"""What a picture file holds, and which file formats can hold it again."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import PictureError


@dataclass(frozen=True)
class Block:
    """A piece of metadata that only files of one format hold."""

    format: str
    """Pillow's name of the format."""
    name: str
    """What it is, in the user's words."""
    content: bytes
    """As it stands in such a file: a PNG chunk's kind and body, a JPEG segment, or the number of a
    TIFF tag (two bytes, big-endian) and its value."""


@dataclass(frozen=True)
class Picture:
    """A picture with everything a restored copy should keep."""

    pixels: Tensor
    """(H, W, 3) float32 RGB on the CPU, 0..1; a float file keeps values outside that range."""
    alpha: Tensor | None = None
    """(H, W) float32 opacity, 0..1, or None where the file has none."""
    bits: int = 8
    """Bits of one channel in the file: 8, 16, or 32 for floats."""
    gray: bool = False
    """Whether the file holds one channel; it is written as one again if the pixels allow it."""
    icc_profile: bytes | None = None
    """Colour profile of the pixels, which are never converted between RGB profiles."""
    exif: bytes | None = None
    """EXIF block, starting with ``Exif\\0\\0``; its orientation is 1, already applied."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch."""
    xmp: bytes | None = None
    """XMP packet; its orientation is 1, already applied."""
    blocks: tuple[Block, ...] = ()
    """Other metadata, such as the text of a PNG, where ComfyUI keeps workflows."""
    notes: tuple[str, ...] = ()
    """What could not be taken over from the file, in the user's words."""


@dataclass(frozen=True)
class PictureFormat:
    """What a file format can hold."""

    name: str
    """Pillow's name of the format."""
    bits: int
    """Most bits of a channel it can be written with."""
    alpha: bool
    """Whether it holds opacity."""
    exif: int
    """Most bytes of an EXIF block that can be written to it here; 0 for none."""
    xmp: int
    """The same of an XMP packet."""
    icc_profile: bool
    """Whether it holds a colour profile."""
    dpi: bool
    """Whether it holds a resolution."""


_ANY = 1 << 30
_JPEG = PictureFormat(
    "JPEG", bits=8, alpha=False, exif=65533, xmp=65504, icc_profile=True, dpi=True
)  # one segment each
_PNG = PictureFormat("PNG", bits=16, alpha=True, exif=_ANY, xmp=_ANY, icc_profile=True, dpi=True)
_WEBP = PictureFormat("WEBP", bits=8, alpha=True, exif=_ANY, xmp=_ANY, icc_profile=True, dpi=False)
_TIFF = PictureFormat("TIFF", bits=32, alpha=True, exif=0, xmp=_ANY, icc_profile=True, dpi=True)
_BMP = PictureFormat("BMP", bits=8, alpha=False, exif=0, xmp=0, icc_profile=False, dpi=True)

_FORMATS = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": _PNG,
    ".webp": _WEBP,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".bmp": _BMP,
}

WRITABLE_SUFFIXES = frozenset(_FORMATS)
"""File name endings that `write_picture` knows, lower case with the dot."""
READABLE_SUFFIXES = WRITABLE_SUFFIXES | {
    ".avif",
    ".gif",
    ".jfif",
    ".jp2",
    ".pbm",
    ".pgm",
    ".ppm",
    ".tga",
}
"""Endings that count as pictures when a folder is searched."""


def format_of(path: Path) -> PictureFormat:
    """What the file format named by a path's ending can hold.

    Raises:
        PictureError: the ending names no format that can be written.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        choices = ", ".join(sorted(WRITABLE_SUFFIXES))
        raise PictureError(
            f"{path}: cannot write this kind of file; use one of {choices}"
        ) from None
