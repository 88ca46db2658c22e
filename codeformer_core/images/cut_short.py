"""Files that are cut short: completed so that they can be decoded, and what they lack."""

import random
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ..errors import PictureError
from . import png
from .decoded import Decoded

JPEG_END, GIF_END = b"\xff\xd9", b";"
NOISE = random.Random(0).randbytes(1 << 16).replace(b"\xff", b"\0")
"""Takes the place of coded pixels; 0xFF would begin a marker."""
RAW = ("BMP", "DIB", "PPM", "TGA", "SGI")
"""Formats whose pixels stand one after the other."""
MOST_BYTES = 8
"""Of one pixel in those."""


@dataclass(frozen=True)
class Completion:
    """A whole file made of one that is cut short."""

    content: bytes
    """The file."""
    other: bytes | None = None
    """The same completed otherwise: where the two decode alike, the true file said so."""
    rows: int | None = None
    """How many rows are true, if that is known without the other."""


def complete(encoded: bytes, name: str, pixels: int) -> Completion | None:
    """Complete a file that is cut short; None if it is not, or cannot be completed.

    Args:
        encoded: the file.
        name: Pillow's name of its format.
        pixels: how many it should have.
    """
    if name in ("JPEG", "MPO") and not encoded.rstrip(b"\0").endswith(JPEG_END):
        return Completion(encoded + JPEG_END, encoded + NOISE + JPEG_END)
    if name in RAW:
        rest = MOST_BYTES * pixels
        return Completion(encoded + bytes(rest), encoded + b"\xff" * rest)
    if name == "PNG":
        try:
            completed = png.completed(encoded)
        except zlib.error:  # damaged
            return None
        return Completion(completed[0], rows=completed[1]) if completed else None
    return None


def note_missing(decoded: Decoded, completion: Completion, other: Decoded | None) -> None:
    """Say which rows of a completed picture are not true.

    Args:
        decoded: the picture; gets the note.
        completion: its file.
        other: the other completion's picture.

    Raises:
        PictureError: there is nothing true in it.
    """
    height = len(decoded.pixels)
    missing = np.arange(height) >= (height if completion.rows is None else completion.rows)
    if other is not None:
        missing |= (decoded.pixels != other.pixels).any((1, 2))
    if missing.all() and np.ptp(np.quantile(decoded.pixels, (0.01, 0.99))) == 0:
        raise PictureError("the file is cut short: nothing of the picture is in it")
    if not missing.any():
        decoded.notes.append("the file has no end, but every pixel is there")
        return
    first, last = np.flatnonzero(missing)[[0, -1]] + 1
    decoded.notes.append(
        f"the file is cut short: rows {first} to {last} of {height} are missing or incomplete"
    )


def seems_cut_short(encoded: bytes) -> bool:
    """Whether a file holds less than it says: a WebP, a GIF, or an ISO media file such as AVIF."""
    if encoded.startswith(b"RIFF") and len(encoded) >= 8:
        return len(encoded) < 8 + int.from_bytes(encoded[4:8], "little")
    if encoded.startswith(b"GIF8"):
        return not encoded.rstrip(b"\0").endswith(GIF_END)
    place = 0
    if encoded[4:8] == b"ftyp":
        while place + 8 <= len(encoded):
            (length,) = struct.unpack_from(">I", encoded, place)
            if length < 8:  # up to the end, or 64 bits long
                return False
            place += length
    return place > len(encoded)
