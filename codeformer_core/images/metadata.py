"""What picture files hold beside pixels: found in one file, made ready for another."""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from .picture import Block, Picture

Blocks = Sequence[Block]
TiffTag = tuple[int, int, int, bytes, bool]

EXIF_PREFIX = b"Exif\0\0"
ORIENTATION_TAG = 0x0112
XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND"
PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
PNG_COLOURS = (b"cHRM", b"cICP", b"gAMA", b"sRGB")
PNG_CREDENTIALS = b"caBX"
PNG_XMP = b"XML:com.adobe.xmp"
PNG_HIDDEN = (b"Raw profile type exif", b"Raw profile type APP1", b"Raw profile type xmp")
"""Texts of older programs whose orientation would turn the picture again."""

JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_CREDENTIALS = ("APP11", b"JP")
JPEG_BLOCKS = (
    ("APP1", b"http://ns.adobe.com/xmp/extension/\0", b"\xff\xe1", "XMP"),
    ("APP13", b"Photoshop 3.0\0", b"\xff\xed", "IPTC"),
    ("COM", b"", b"\xff\xfe", "comment"),
)
"""A segment's name, how it begins, its marker, and what it holds."""

LARGEST_DPI = 0xFFFF
"""What a JPEG can hold; more is damage."""
TIFF_TEXTS = {
    270: "description", 271: "camera maker", 272: "camera model", 305: "software", 306: "date",
    315: "artist", 316: "computer", 33432: "copyright",
}  # fmt: skip
TIFF_BYTES = {33723: "IPTC", 34377: "Photoshop resources"}
TIFF_LOST = {34665: "EXIF", 34853: "GPS", 37724: "Photoshop layers"}
TIFF_XMP, TIFF_PROFILE = 700, 34675
TIFF_ASCII, TIFF_UNDEFINED = 2, 7
TIFF_SHAPE = b'{"shape"'
"""How a description begins that tells only how tifffile stored the pixels."""

CREDENTIALS = "its content credentials are not kept: they vouch for the old pixels"


@dataclass
class Metadata:
    """What is found in a file."""

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None
    blocks: list[Block] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What cannot be kept, in the user's words."""


def metadata_of(image: Image.Image, file: BinaryIO) -> Metadata:
    """What a picture file, whose pixels have been decoded, holds beside them."""
    if image.format == "PNG":
        found = _in_png(file)
    elif hasattr(image, "applist"):
        found = _in_jpeg(getattr(image, "applist", []))
    elif isinstance(image, TiffImageFile):
        found = in_tiff(image.tag_v2)
    else:
        found = _in_others(image)
    found.exif, found.dpi = image.info.get("exif"), resolution(image.info.get("dpi"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        found.lost.append(f"only the first of its {frames} frames is used")
    return found


def with_metadata(picture: Picture, found: Metadata) -> Picture:
    """A picture, turned upright, with what was found in its file."""
    exif, notes = upright_exif(found.exif), (*found.lost, *picture.notes)
    if found.exif and not exif:
        notes = (*notes, "its EXIF metadata is damaged and not kept")
    return replace(
        picture,
        exif=exif,
        xmp=XMP_ORIENTATION.sub(rb"\g<1>1", found.xmp) if found.xmp else None,
        dpi=found.dpi,
        blocks=tuple(found.blocks),
        notes=notes,
    )


def resolution(dpi: Any) -> tuple[float, float] | None:
    """Pixels per inch in both directions, if that is what a file says."""
    try:
        across, down = (float(value) for value in dpi or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across <= LARGEST_DPI and 0 < down <= LARGEST_DPI else None


def _in_png(file: BinaryIO) -> Metadata:
    found = Metadata()
    for kind, body in _chunks(file):
        keyword = body.partition(b"\0")[0]
        if kind == PNG_CREDENTIALS:
            found.lost.append(CREDENTIALS)
        elif kind in PNG_COLOURS:
            found.blocks.append(Block("PNG", kind.decode(), kind + body))
        elif keyword == PNG_XMP and (xmp := _plain_text(kind, body)):
            found.xmp = xmp
        elif keyword in (PNG_XMP, *PNG_HIDDEN):
            found.lost.append(f"its text {keyword.decode()!r} is not kept")
        else:
            found.blocks.append(Block("PNG", f"text {keyword.decode('latin-1')!r}", kind + body))
    return found


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of those chunks of a PNG that matter here."""
    file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == PNG_END:
            return
        if kind in (*PNG_TEXTS, *PNG_COLOURS, PNG_CREDENTIALS):
            yield kind, file.read(length)
        else:
            file.seek(length, os.SEEK_CUR)
        file.seek(4, os.SEEK_CUR)  # the checksum


def _plain_text(kind: bytes, body: bytes) -> bytes | None:
    """The text of an iTXt chunk that is not compressed (PNG specification, 11.3.3.4)."""
    fields = body.split(b"\0", 1)[-1]  # compressed?, method, language, translated keyword, text
    parts = fields[2:].split(b"\0", 2)
    return parts[2] if kind == b"iTXt" and fields[:1] == b"\0" and len(parts) == 3 else None


def _in_jpeg(segments: Iterable[tuple[str, bytes]]) -> Metadata:
    found = Metadata()
    for name, body in segments:
        if name == "APP1" and body.startswith(JPEG_XMP):
            found.xmp = body[len(JPEG_XMP) :]
        elif name == JPEG_CREDENTIALS[0] and body.startswith(JPEG_CREDENTIALS[1]):
            found.lost.append(CREDENTIALS)
        for kept, start, marker, what in JPEG_BLOCKS:
            if name == kept and body.startswith(start):
                found.blocks.append(Block("JPEG", what, marker + _sized(body)))
    return found


def _sized(body: bytes) -> bytes:
    """The body of a JPEG segment after its length, which counts itself."""
    return struct.pack(">H", len(body) + 2) + body


def in_tiff(tags: Mapping[int, Any]) -> Metadata:
    """What the tags of a TIFF hold, whoever read them."""
    found = Metadata(xmp=_as_bytes(tags.get(TIFF_XMP)))
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
    found = Metadata(xmp=_as_bytes(image.info.get("xmp")))
    if image.info.get("comment"):
        found.lost.append("its comment is not kept")
    return found


def _as_bytes(value: Any) -> bytes | None:
    """Text or bytes as the file holds them; nothing of other kinds."""
    if isinstance(value, tuple) and len(value) == 1:  # bytes of a TIFF tag, at times
        value = value[0]
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    return value if isinstance(value, bytes) else None


def upright_exif(exif: bytes | None) -> bytes | None:
    """The EXIF block with its orientation set to 1, every other byte as it was.

    A block that cannot be parsed is dropped: its orientation could turn the picture again.
    """
    if not exif:
        return None
    block = bytearray(exif if exif.startswith(EXIF_PREFIX) else EXIF_PREFIX + exif)
    start = len(EXIF_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[start : start + 4]))
    if order is None:
        return None
    try:
        directory = start + struct.unpack_from(order + "I", block, start + 4)[0]
        count = struct.unpack_from(order + "H", block, directory)[0]
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", block, entry)[0] == ORIENTATION_TAG:
                struct.pack_into(order + "H", block, entry + 8, 1)
    except struct.error:
        return None
    return bytes(block)


def png_chunks(xmp: bytes | None, blocks: Blocks) -> list[tuple[bytes, bytes]]:
    """Kind and body of chunks to stand before the pixels of a PNG."""
    chunks = [(b"iTXt", PNG_XMP + bytes(5) + xmp)] if xmp else []
    return chunks + [(each[:4], each[4:]) for each in _contents("PNG", blocks)]


def jpeg_segments(xmp: bytes | None, blocks: Blocks) -> bytes:
    """Segments to stand before the tables of a JPEG."""
    first = b"\xff\xe1" + _sized(JPEG_XMP + xmp) if xmp else b""
    return b"".join([first, *_contents("JPEG", blocks)])


def tiff_tags(profile: bytes | None, xmp: bytes | None, blocks: Blocks) -> list[TiffTag]:
    """Tags as tifffile takes them: number, type, length, value, in the first page only."""
    tags = {int.from_bytes(each[:2], "big"): each[2:] for each in _contents("TIFF", blocks)}
    tags |= {TIFF_PROFILE: profile or b"", TIFF_XMP: xmp or b""}
    return [
        (number, TIFF_ASCII if number in TIFF_TEXTS else TIFF_UNDEFINED, len(value), value, True)
        for number, value in tags.items()
        if value
    ]


def _contents(name: str, blocks: Blocks) -> list[bytes]:
    return [block.content for block in blocks if block.format == name]
