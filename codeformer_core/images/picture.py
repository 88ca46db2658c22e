"""A picture in memory, with everything of its file that a restored copy should keep."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Block:
    """A piece of metadata that only files of one format hold."""

    format: str
    """Pillow's name of the format."""
    name: str
    """What it is, in the user's words."""
    content: bytes
    """As it stands in such a file: a PNG chunk's kind and body, a JPEG segment, a WebP's XMP, or
    the number of a TIFF tag (two bytes, big-endian) and its value."""


@dataclass(frozen=True)
class JpegSource:
    """The JPEG that a picture came from: its tables, and the blocks that need no new encoding."""

    content: bytes
    """The whole file."""
    orientation: int
    """Of its EXIF, 1 to 8: how its pixels were turned."""


@dataclass(frozen=True)
class Coding:
    """How a file holds its pixels; a result in the same format is written alike."""

    lossless: bool = False
    """Whether it gives every pixel back."""
    premultiplied: bool = False
    """Whether its colours are multiplied by its opacity; those of a `Picture` never are."""
    jpeg: JpegSource | None = None
    """Of pictures that a JPEG holds as gray or as luma and chroma."""


@dataclass(frozen=True)
class Picture:
    """A picture with everything a restored copy should keep."""

    pixels: Tensor
    """(H, W, 3) float32 RGB on the CPU, 0..1; a float file keeps values outside that range."""
    alpha: Tensor | None = None
    """(H, W) float32 opacity, 0..1, or None where the file has none."""
    extra: Tensor | None = None
    """(H, W, N) float32: channels that are neither colour nor opacity, such as a scanner's infrared
    or a saved selection."""
    bits: int = 8
    """Bits of one channel in the file: 8, 16 (which holds 9 to 15 too), or 32 for floats."""
    gray: bool = False
    """Whether the file holds one channel; it is written as one again if the pixels allow it."""
    icc_profile: bytes | None = None
    """Colour profile of the pixels, which are never converted between RGB profiles."""
    exif: bytes | None = None
    """EXIF block, starting with ``Exif\\0\\0``; its orientation is 1, already applied."""
    dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch."""
    blocks: tuple[Block, ...] = ()
    """Other metadata, such as the text of a PNG, where ComfyUI keeps workflows."""
    coding: Coding = Coding()
    """How the file holds its pixels."""
    notes: tuple[str, ...] = ()
    """What could not be taken over from the file, in the user's words."""
