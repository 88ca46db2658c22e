"""What picture files hold beside pixels: found in one file, made ready for another."""

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import Image

from . import colour_codes, png
from .exif import with_orientation
from .picture import Block, Picture

Blocks = Sequence[Block]
TiffTag = tuple[int, int, int, bytes, bool]

XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[1-8]")

PNG_KEPT = (b"tEXt", b"zTXt", b"iTXt", b"cHRM", b"cICP", b"cLLI", b"gAMA", b"mDCV", b"sRGB")
PNG_TEXTS = PNG_KEPT[:3]
PNG_CREDENTIALS = b"caBX"
PNG_HIDDEN = (b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp")
"""Texts of older programs whose orientation would turn the picture again."""

JPEG_KEPT = (
    ("APP1", b"http://ns.adobe.com/xap/1.0/\0", b"\xff\xe1", "XMP"),
    ("APP1", b"http://ns.adobe.com/xmp/extension/\0", b"\xff\xe1", "XMP"),
    ("APP13", b"Photoshop 3.0\0", b"\xff\xed", "IPTC"),
    ("COM", b"", b"\xff\xfe", "comment"),
)
"""A segment's name, how it begins, its marker, and what it holds."""
JPEG_CREDENTIALS = ("APP11", b"JP")

LARGEST_DPI = 0xFFFF
"""What a JPEG can hold; more is damage."""
TIFF_TEXTS = {
    270: "description", 271: "camera maker", 272: "camera model", 305: "software", 306: "date",
    315: "artist", 316: "computer", 33432: "copyright",
}  # fmt: skip
TIFF_BYTES = {700: "XMP", 33723: "IPTC", 34377: "Photoshop resources"}
TIFF_LOST = {34665: "EXIF", 34853: "GPS", 37724: "Photoshop layers"}
TIFF_PROFILE = 34675
TIFF_ASCII, TIFF_UNDEFINED = 2, 7
TIFF_SHAPE = b'{"shape"'
"""How a description begins that tells only how tifffile stored the pixels."""

CREDENTIALS = "its content credentials are not kept: they vouch for the old pixels"


@dataclass
class Metadata:
    """What is found in a file."""

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    blocks: list[Block] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What cannot be kept, in the user's words."""


def metadata_of(image: Image.Image, file: BinaryIO) -> Metadata:
    """What a picture file, whose pixels have been decoded, holds beside them."""
    if image.format == "PNG":
        found = _in_png(file)
    elif hasattr(image, "applist"):
        found = _in_jpeg(getattr(image, "applist", []))
    else:
        found = _in_others(image)
        if (codes := colour_codes.of_file(image, file)) is not None:
            found.blocks.append(codes)
    found.exif, found.dpi = image.info.get("exif"), resolution(image.info.get("dpi"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        found.lost.append(f"only the first of its {frames} frames is used")
    return found


def with_metadata(picture: Picture, found: Metadata) -> Picture:
    """A picture, turned upright, with what was found in its file."""
    exif, notes = with_orientation(found.exif), (*found.lost, *picture.notes)
    if found.exif and not exif:
        notes = (*notes, "its EXIF metadata is damaged and not kept")
    blocks = tuple(_turned(block) for block in found.blocks)
    return replace(picture, exif=exif, dpi=found.dpi, blocks=blocks, notes=notes)


def turned_back(picture: Picture, orientation: int) -> Picture:
    """A picture whose metadata says that its pixels are stored in another orientation."""
    blocks = tuple(_turned(block, orientation) for block in picture.blocks)
    return replace(picture, exif=with_orientation(picture.exif, orientation), blocks=blocks)


def _turned(block: Block, orientation: int = 1) -> Block:
    """A block whose XMP says another orientation, if it says one."""
    content = XMP_ORIENTATION.sub(rb"\g<1>%d" % orientation, block.content)
    return replace(block, content=content)


def resolution(dpi: Any) -> tuple[float, float] | None:
    """Pixels per inch in both directions, if that is what a file says."""
    try:
        across, down = (float(value) for value in dpi or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across <= LARGEST_DPI and 0 < down <= LARGEST_DPI else None


def _in_png(file: BinaryIO) -> Metadata:
    found = Metadata()
    for kind, body in png.chunks(file):
        keyword = body.partition(b"\0")[0] if kind in PNG_TEXTS else b""
        if kind == PNG_CREDENTIALS:
            found.lost.append(CREDENTIALS)
        elif keyword in PNG_HIDDEN:
            found.lost.append(f"its text {keyword.decode()!r} is not kept")
        elif kind in PNG_KEPT:
            name = f"text {keyword.decode('latin-1')!r}" if keyword else kind.decode()
            found.blocks.append(Block("PNG", name, kind + body))
    return found


def _in_jpeg(segments: Iterable[tuple[str, bytes]]) -> Metadata:
    found = Metadata()
    for name, body in segments:
        if name == JPEG_CREDENTIALS[0] and body.startswith(JPEG_CREDENTIALS[1]):
            found.lost.append(CREDENTIALS)
        for kept, start, marker, what in JPEG_KEPT:
            if name == kept and body.startswith(start):
                length = struct.pack(">H", len(body) + 2)  # it counts itself
                found.blocks.append(Block("JPEG", what, marker + length + body))
    return found


def in_tiff(tags: Mapping[int, Any]) -> Metadata:
    """What the tags of a TIFF hold."""
    found = Metadata()
    for number, name in (TIFF_TEXTS | TIFF_BYTES).items():
        content = _as_bytes(tags.get(number))
        if content and number in TIFF_TEXTS:
            content = content.rstrip(b"\0")
        if content and not content.startswith(TIFF_SHAPE):
            found.blocks.append(Block("TIFF", name, struct.pack(">H", number) + content))
        elif number in tags and content is None:
            found.lost.append(f"its {name} is not kept: it is neither text nor bytes")
    if lost := [name for number, name in TIFF_LOST.items() if number in tags]:
        found.lost.append(f"not kept (TIFF): {', '.join(lost)}")
    return found


def _in_others(image: Image.Image) -> Metadata:
    found = Metadata()
    if xmp := _as_bytes(image.info.get("xmp")):
        found.blocks.append(Block(image.format or "", "XMP", xmp))
    if image.format == "GIF" and image.info.get("comment"):
        found.lost.append("its comment is not kept")
    return found


def _as_bytes(value: Any) -> bytes | None:
    """Text or bytes as the file holds them; nothing of other kinds."""
    if isinstance(value, tuple) and len(value) == 1:  # bytes of a TIFF tag, at times
        value = value[0]
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return value if isinstance(value, bytes) else None


def contents(name: str, blocks: Blocks) -> list[bytes]:
    """What blocks of one format hold."""
    return [block.content for block in blocks if block.format == name]


def png_chunks(blocks: Blocks) -> list[png.Chunk]:
    """Kind and body of chunks to stand before the pixels of a PNG."""
    return [(each[:4], each[4:]) for each in contents("PNG", blocks)]


def tiff_tags(profile: bytes | None, blocks: Blocks) -> list[TiffTag]:
    """Tags as tifffile takes them: number, type, length, value, in the first page only."""
    tags = {int.from_bytes(each[:2], "big"): each[2:] for each in contents("TIFF", blocks)}
    tags[TIFF_PROFILE] = profile or b""
    return [
        (number, TIFF_ASCII if number in TIFF_TEXTS else TIFF_UNDEFINED, len(value), value, True)
        for number, value in tags.items()
        if value
    ]
