"""PNG beside what Pillow does: its chunks, 16 bits a channel, and files that are cut short."""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"IEND"
PIXELS = b"IDAT"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of each colour type (PNG specification, 11.2.2)."""
HEADER = struct.Struct(">IIBBBBB")
INCH = 0.0254

GRAYS = (0, 4)
"""Colour types without colours."""

Chunk = tuple[bytes, bytes]
"""Kind and body."""


class Header(NamedTuple):
    """The first chunk (PNG specification, 11.2.2)."""

    width: int
    height: int
    depth: int
    """Bits of a channel."""
    colours: int
    """Colour type."""
    compression: int = 0
    filter: int = 0
    interlace: int = 0


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """Chunks of a PNG without those of its pixels, up to its end or where it is cut short."""
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == END:
            return
        if kind == PIXELS:
            file.seek(length, os.SEEK_CUR)
        else:
            yield kind, file.read(length)
        file.seek(4, os.SEEK_CUR)  # the checksum


def header(file: BinaryIO) -> Header:
    """What the first chunk of a PNG says."""
    before = file.tell()  # where Pillow goes on
    file.seek(len(SIGNATURE) + 8)
    found = Header(*HEADER.unpack(file.read(HEADER.size)))
    file.seek(before)
    return found


def is_cut_short(encoded: bytes) -> bool:
    """Whether a PNG lacks its end."""
    return _all_chunks(encoded)[-1:] != [(END, b"")]


def completed(encoded: bytes) -> tuple[bytes, int] | None:
    """A PNG that is cut short with all its rows, and how many of them are true.

    Returns:
        None for one that is whole, or cannot be completed: interlaced, or without a whole row.

    Raises:
        zlib.error: it is damaged.
    """
    parts = _all_chunks(encoded)
    if parts[-1:] == [(END, b"")] or not parts or len(parts[0][1]) != HEADER.size:
        return None
    said = Header(*HEADER.unpack(parts[0][1]))
    if said.interlace or said.colours not in CHANNELS:
        return None
    row = 1 + -(-said.width * CHANNELS[said.colours] * said.depth // 8)
    packed = b"".join(body for kind, body in parts if kind == PIXELS)
    rows = zlib.decompressobj().decompress(packed, row * said.height)
    whole = len(rows) // row
    if whole == 0:
        return None
    rows = rows[: whole * row].ljust(said.height * row, b"\0")
    before = [each for each in parts[:-1] if each[0] != PIXELS]  # the last one is not whole
    return _file([*before, (PIXELS, zlib.compress(rows, 1)), (END, b"")]), whole


def _all_chunks(encoded: bytes) -> list[Chunk]:
    """Kind and body of all chunks; of the last one what is there."""
    found, start = [], len(SIGNATURE)
    while start + 8 <= len(encoded):
        length, kind = struct.unpack_from(">I4s", encoded, start)
        found.append((kind, encoded[start + 8 : start + 8 + length]))
        start += 12 + length
    return found


def write_deep_png(
    file: IO[bytes],
    pixels: NDArray[np.uint16],
    *,
    profile: bytes | None,
    dpi: tuple[float, float] | None,
    exif: bytes | None,
    more: list[Chunk],
) -> None:
    """Write a 16-bit PNG (PNG specification, sections 5 and 11); Pillow writes 8 bits only.

    Args:
        file: what to write to.
        pixels: (H, W, C): gray, gray and opacity, RGB, or RGB and opacity.
        profile: of the colours.
        dpi: pixels per inch in both directions.
        exif: the block without its prefix.
        more: chunks to stand before the pixels.
    """
    height, width, channels = pixels.shape
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts: list[Chunk] = [(b"IHDR", HEADER.pack(*Header(width, height, 16, colours)))]
    if profile:
        parts.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if dpi:
        across, down = (round(each / INCH) for each in dpi)
        parts.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if exif:
        parts.append((b"eXIf", exif))
    parts += [*more, (PIXELS, zlib.compress(_filtered(pixels).tobytes(), 6)), (END, b"")]
    file.write(_file(parts))


def _filtered(pixels: NDArray[np.uint16]) -> NDArray[Any]:
    """Rows in big-endian order, each as the difference to the one above (filter "up")."""
    rows = np.ascontiguousarray(pixels.astype(">u2")).view(np.uint8).reshape(len(pixels), -1)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    return filtered


def _file(parts: list[Chunk]) -> bytes:
    return SIGNATURE + b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
