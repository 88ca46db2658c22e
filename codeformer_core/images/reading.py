"""Read a picture file with everything that should survive a restoration."""

import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from PIL import Image, UnidentifiedImageError

from ..errors import MissingModelError, PictureError
from .cut_short import complete, note_missing, seems_cut_short
from .decoded import Decoded
from .deep import deep_decoder
from .exif import ORIENTATION_TAG
from .jpeg import holds_luma
from .kinds import readable_formats, readable_suffixes, unread_kind
from .metadata import Metadata, metadata_of, with_metadata
from .modes import decode_mode
from .picture import Coding, JpegSource, Picture
from .tiff import SIGNATURES as TIFF_SIGNATURES
from .tiff import read_tiff
from .webp import is_lossless

MOST_MEGAPIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
"""Where Pillow refuses a picture; the same for decoders that refuse none."""
BYTES_PER_PIXEL = 60
"""Memory that a picture of 8 bits takes while it is restored, measured."""
START = 32
"""Bytes by which a kind of file is told."""
LOSSLESS = ("BMP", "DIB", "GIF", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA")
"""Formats that give every pixel back, beside TIFF and WebP, which may."""
UPRIGHT = ("HEIF", "JXL")
"""Formats whose decoders turn the pixels themselves."""

_CAUSES: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "this is a folder, not a picture",
    PermissionError: "no permission to read this file",
    UnidentifiedImageError: (
        "not a picture this program can read (JPEG, PNG, WebP, TIFF, BMP and others)"
    ),
    MemoryError: "not enough memory to read this picture",
}
_lock = threading.Lock()


def read_picture(path: str | Path, *, max_megapixels: float | None = None) -> Picture:
    """Read a picture file.

    Pictures of 1 to 16 bits a channel and of floats are read with their full precision, gray,
    palette, RGB, CMYK and Lab, with opacity and other channels; the EXIF orientation is applied;
    of several frames the first is taken. A file that is cut short is read as far as it goes. What
    cannot be kept is said in `Picture.notes`.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP, GIF, JPEG 2000, AVIF, PPM, TGA and others, whatever its
            name; HEIC and JPEG XL with the packages of the extra "formats".
        max_megapixels: refuse larger pictures; 179 if left out.

    Raises:
        PictureError: the file is missing, is no picture, is damaged, or is too large.
    """
    path = Path(path)
    most = MOST_MEGAPIXELS if max_megapixels is None else max_megapixels
    try:
        # Pillow warns over 89 megapixels, which real photos reach, and of odd metadata.
        with warnings.catch_warnings(), _pillow_limit(most):
            warnings.simplefilter("ignore")
            return _read(path, int(most * 1e6))
    except Exception as error:  # decoders raise almost anything on a damaged file
        raise PictureError(f"{path}: {_cause(error, path, most)}") from error


def shorter_side(
    source: Path | IO[bytes], name: str, formats: tuple[str, ...] | None = None
) -> int:
    """Shorter side of a picture in pixels, from its header.

    Args:
        source: a picture file, or an open one.
        name: to call it by in an error.
        formats: Pillow's names of those that count; all readable ones if left out.

    Raises:
        PictureError: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=formats or readable_formats()) as picture:
                return min(picture.size)
    except Exception as error:  # decoders raise almost anything on a damaged file
        raise PictureError(f"{name}: not a readable picture; remove it or save it again") from error


@contextmanager
def _pillow_limit(megapixels: float) -> Iterator[None]:
    """Let Pillow open pictures of so many pixels; its own limit stands where it is enough."""
    if megapixels <= MOST_MEGAPIXELS:
        yield
        return
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _read(path: Path, largest: int) -> Picture:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PictureError("this is a pipe or a device, not a picture")  # it may never end
    # Not by its path: Pillow 13 maps such a file into memory, and garbles turned gray TIFFs.
    with _Whole(io.FileIO(path)) as file:
        start = file.read(START)
        file.seek(0)
        if start.startswith(TIFF_SIGNATURES):
            _check_no_raw(path)
            decoded, found, orientation = read_tiff(file, largest)
        else:
            decoded, found, orientation = _read_with_pillow(file, largest)
    return with_metadata(decoded.picture(orientation), found)


class _Whole(io.BufferedReader):
    """A file that is never asked for more than it holds: Python takes all the memory first."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _check_no_raw(path: Path) -> None:
    """Camera raw is a TIFF whose first page is a small preview."""
    kind = unread_kind(path)
    if kind is not None:
        raise PictureError(f"this is {kind.name}: {kind.remedy}")


def _read_with_pillow(file: BinaryIO, largest: int) -> tuple[Decoded, Metadata, int]:
    try:
        return _decode(file, largest)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UnidentifiedImageError):
            raise
        completed = _decode_cut_short(file, largest)
        if completed is None:
            raise
        return completed


def _decode(file: BinaryIO, largest: int) -> tuple[Decoded, Metadata, int]:
    """Pixels, metadata, and the orientation that the pixels still have."""
    file.seek(0)
    with Image.open(file, formats=readable_formats()) as image:
        if image.width * image.height > largest:
            raise Image.DecompressionBombError(f"{image.width * image.height} pixels")
        deep = deep_decoder(image, file)
        decoded = deep(image, file) if deep else decode_mode(image)
        if deep:
            decoded.icc_profile = image.info.get("icc_profile")
        orientation = int(image.getexif().get(ORIENTATION_TAG, 1))
        if image.format in UPRIGHT:
            orientation = 1
        decoded.coding = _coding(image, file, orientation)
        return decoded, metadata_of(image, file), orientation


def _coding(image: Image.Image, file: BinaryIO, orientation: int) -> Coding:
    """How an open file holds its pixels."""
    if image.format in ("JPEG", "MPO"):
        file.seek(0)
        return Coding(jpeg=JpegSource(file.read(), orientation) if holds_luma(image) else None)
    if image.format == "WEBP":
        return Coding(lossless=is_lossless(file))
    return Coding(lossless=image.format in LOSSLESS)


def _decode_cut_short(file: BinaryIO, largest: int) -> tuple[Decoded, Metadata, int] | None:
    """The same of a file that is cut short; None of others."""
    file.seek(0)
    with Image.open(file, formats=readable_formats()) as image:
        name, pixels = image.format or "", image.width * image.height
    if pixels > largest:
        return None
    file.seek(0)
    completion = complete(file.read(), name, pixels)
    if completion is None:
        return None
    decoded, found, orientation = _decode(io.BytesIO(completion.content), largest)
    other = None
    if completion.other is not None:
        other = _decode(io.BytesIO(completion.other), largest)[0]
    note_missing(decoded, completion, other)
    return decoded, found, orientation


def _cause(error: Exception, path: Path, megapixels: float) -> str:
    """Why a file could not be read, in the user's words."""
    if isinstance(error, PictureError | MissingModelError):
        return str(error)
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(error, megapixels)
    if words := _what_it_is(error, path):
        return words
    for kind, words in _CAUSES.items():
        if isinstance(error, kind):
            return words
    return f"the picture is damaged or of an unknown kind ({error!s:.200})"


def _too_large(error: Exception, megapixels: float) -> str:
    """Say the limit, what lifts it, and what that costs."""
    number = re.search(r"\d+", str(error))
    pixels = int(number[0]) if number else 0
    return (
        f"{pixels / 1e6:.0f} megapixels are more than the limit of {megapixels:.0f}: "
        f"--max-megapixels {math.ceil(pixels / 1e6)} lifts it (in Python max_megapixels=...); "
        f"{BYTES_PER_PIXEL} bytes a pixel, {pixels * BYTES_PER_PIXEL / 1e9:.1f} GB of memory, are "
        "needed"
    )


def _what_it_is(error: Exception, path: Path) -> str:
    """What keeps a file from being decoded, as far as its bytes tell; empty if they do not."""
    try:
        encoded = path.read_bytes()
    except OSError:
        return ""
    if seems_cut_short(encoded) or "truncated" in str(error):
        return "the file is cut short, and what is left of it cannot be read"
    kind = unread_kind(path, encoded[:START])
    if kind is None or readable_suffixes().intersection(kind.suffixes):
        return ""
    return f"{kind.name} cannot be read{' yet' if kind.package else ''}: {kind.remedy}"
