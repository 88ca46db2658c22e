"""Read a picture file with everything that should survive a restoration."""

import io
import logging
import math
import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import PictureError
from .metadata import (
    ORIENTATION_TAG,
    TIFF_PROFILE,
    Metadata,
    in_tiff,
    metadata_of,
    resolution,
    with_metadata,
)
from .picture import READABLE_SUFFIXES, Picture

Pixels = NDArray[Any]

BITS_TAG, RESOLUTION_TAG = 258, 282
PNG_DEPTH_OFFSET, PNG_COLOUR_OFFSET = 24, 25
PNG_GRAY_ALPHA = 4
PROFILE_SPACE = slice(16, 20)
DEPTH_PLACES = {"JPEG2000": (b"ihdr", 10), "AVIF": (b"av1C", 2)}
"""The box of a file that says how many bits a channel has, and the byte there."""
DEPTH_REACH = 4096
LARGEST_PICTURE = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Pixels from which Pillow refuses a picture; the same for decoders that refuse none."""
TIFF_DTYPES = (np.uint8, np.uint16, np.float16, np.float32, np.float64)


_CAUSES: dict[type[Exception], str] = {
    FileNotFoundError: "there is no such file",
    IsADirectoryError: "this is a folder, not a picture",
    PermissionError: "no permission to read this file",
    Image.DecompressionBombError: "too many pixels to be read safely; make it smaller",
    UnidentifiedImageError: (
        "not a picture this program can read (JPEG, PNG, WebP, TIFF, BMP and others)"
    ),
    ImportError: (
        "pictures of more than 8 bits need two more packages: pip install opencv-python tifffile"
    ),
    MemoryError: "not enough memory to read this picture",
}


@dataclass(frozen=True)
class _Decoded:
    """Pixels of a file before they become tensors."""

    pixels: Pixels
    """(H, W, C) with C = 1 gray, 2 gray + alpha, 3 RGB, 4 RGBA."""
    icc_profile: bytes | None
    notes: tuple[str, ...] = ()


def read_picture(path: str | Path) -> Picture:
    """Read a picture file.

    8 and 16 bit, gray, palette, RGB, RGBA, CMYK and float files of the usual formats are read
    with their full precision; the EXIF orientation is applied; of several frames the first is
    taken. What cannot be kept is said in `Picture.notes`.

    Args:
        path: JPEG, PNG, WebP, TIFF, BMP, GIF, JPEG 2000, AVIF, PPM or TGA, whatever its name.

    Raises:
        PictureError: the file is missing, is no picture, is damaged, or is too large to be safe.
    """
    path = Path(path)
    try:
        # Pillow warns over 89 megapixels, which real photos reach (it raises at twice that), and
        # of odd metadata.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path)
    except Exception as error:  # decoders raise almost anything on a damaged file
        raise PictureError(f"{path}: {_cause(error)}") from error


def picture_files(folder: Path, suffixes: Collection[str] = READABLE_SUFFIXES) -> list[Path]:
    """Files of a folder and its subfolders with these endings, in order of name.

    Hidden files are left out, and so are pipes and devices, whose end may never come; a link that
    leads nowhere is not.
    """
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
        if path.is_file() or path.is_symlink()
    ]


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
            with Image.open(source, formats=formats or _formats()) as picture:
                return min(picture.size)
    except Exception as error:  # decoders raise almost anything on a damaged file
        raise PictureError(f"{name}: not a readable picture; remove it or save it again") from error


def _cause(error: Exception) -> str:
    """Why a file could not be read, in the user's words."""
    if isinstance(error, PictureError):
        return str(error)
    for kind, words in _CAUSES.items():
        if isinstance(error, kind):
            return words
    return f"the picture is damaged or of an unknown kind ({error!s:.200})"


def _read(path: Path) -> Picture:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PictureError("this is a pipe or a device, not a picture")  # it may never end
    try:
        # Not by its path: Pillow 13 maps such a file into memory, and garbles turned gray TIFFs.
        with _Whole(io.FileIO(path)) as file, Image.open(file, formats=_formats()) as image:
            deep = _is_deep(image, path)
            bits = _said_bits(image, path)
            decoded = _decode_deep(image, path) if deep else _decode(image)
            # Only now, for Pillow turns what it decodes of a TIFF by itself.
            orientation = int(image.getexif().get(ORIENTATION_TAG, 1))
            found = metadata_of(image, file)
            if bits > 8 and not deep:
                found.lost.append(f"its {bits} bits a channel became 8")
            return _as_picture(decoded, found, orientation)
    except UnidentifiedImageError:
        if path.suffix.lower() not in (".tif", ".tiff"):
            raise
        return _read_foreign_tiff(path)


class _Whole(io.BufferedReader):
    """A file that is never asked for more than it holds: Python takes all the memory first."""

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _read_foreign_tiff(path: Path) -> Picture:
    """Read a TIFF that Pillow does not know, such as one of floats in colour."""
    import tifffile

    pixels = _read_deep_tiff(path)
    with _silent("tifffile"), _Whole(io.FileIO(path)) as opened, tifffile.TiffFile(opened) as file:
        page = file.pages.first
        tags = {tag.code: tag.value for tag in page.tags}
        found = in_tiff(tags)
        if RESOLUTION_TAG in tags:
            found.dpi = resolution(page.get_resolution("inch"))
    decoded = _with_profile(pixels, tags.get(TIFF_PROFILE))
    return _as_picture(decoded, found, int(tags.get(ORIENTATION_TAG, 1)))


def _formats() -> list[str]:
    """What Pillow may open; it would run Ghostscript for others."""
    registered = Image.registered_extensions()
    return sorted({registered[each] for each in READABLE_SUFFIXES if each in registered})


def _as_picture(decoded: _Decoded, found: Metadata, orientation: int) -> Picture:
    pixels = _turned(_as_float(decoded.pixels), orientation)
    channels = pixels.shape[2]
    if not pixels.size:
        raise PictureError("the picture has no pixels")
    has_alpha = channels in (2, 4)
    colours = pixels[..., : channels - has_alpha]
    if colours.shape[2] == 1:
        colours = colours.repeat(3, axis=2)
    picture = Picture(
        pixels=torch.from_numpy(np.ascontiguousarray(colours)),
        alpha=torch.from_numpy(pixels[..., -1].copy()) if has_alpha else None,
        bits=32 if decoded.pixels.dtype.kind == "f" else 8 * decoded.pixels.dtype.itemsize,
        gray=channels <= 2,
        icc_profile=decoded.icc_profile,
        notes=decoded.notes,
    )
    return with_metadata(picture, found)


def _is_deep(image: Image.Image, path: Path) -> bool:
    """Whether a channel has more than 8 bits, which Pillow's mode hides for colours."""
    if image.mode == "F" or image.mode.startswith("I"):
        return True
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(PNG_DEPTH_OFFSET + 1)[PNG_DEPTH_OFFSET] > 8
    if isinstance(image, TiffImageFile):
        return max(_as_tuple(image.tag_v2.get(BITS_TAG, 8))) > 8
    return False


def _said_bits(image: Image.Image, path: Path) -> int:
    """Bits of a channel, of formats whose deeper colours Pillow cuts to 8; 0 of others."""
    if image.format == "PPM":
        (codec, _, _, arguments), *_ = getattr(image, "tile", [])
        return int(arguments[-1]).bit_length() if codec != "raw" else 0  # the largest value's
    mark, place = DEPTH_PLACES.get(image.format or "", (b"", 0))
    with path.open("rb") as file:
        after = file.read(DEPTH_REACH).partition(mark)[2] if mark else b""
    said = int.from_bytes(after[place : place + 1], "big")
    if image.format == "AVIF":  # flags: more than 8, more than 10
        return 8 + 2 * (said >> 6 & 1) + 2 * (said >> 5 & 1)
    return (said & 0x7F) + 1


def _as_tuple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _decode(image: Image.Image) -> _Decoded:
    """Decode an 8-bit picture of any mode."""
    profile = image.info.get("icc_profile")
    gray = image.mode in ("1", "L", "LA", "La")
    if not gray and image.mode not in ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX"):
        return _decode_foreign(image, profile)
    alpha = image.has_transparency_data
    mode = ("LA" if alpha else "L") if gray else ("RGBA" if alpha else "RGB")
    if image.mode == "La":  # Pillow converts it only to LA
        image = image.convert("LA")
    pixels = np.asarray(image.convert(mode))
    return _with_profile(np.atleast_3d(pixels), profile)


def _decode_foreign(image: Image.Image, profile: bytes | None) -> _Decoded:
    """Decode CMYK, Lab, YCbCr or HSV into sRGB, through the file's own profile where it has one."""
    mode = image.mode
    if profile is None:
        return _Decoded(np.asarray(image.convert("RGB")), None, (f"{mode} became RGB",))
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError:
        note = f"{mode} became RGB without its colour profile, which is damaged"
        return _Decoded(np.asarray(image.convert("RGB")), None, (note,))
    if converted is None:  # only when converting in place
        raise PictureError(f"{mode} could not be converted to RGB")
    return _Decoded(np.asarray(converted), None, (f"{mode} became sRGB",))


def _decode_deep(image: Image.Image, path: Path) -> _Decoded:
    """Decode a picture of 16 bits or floats, which Pillow would cut to 8 bits or refuse."""
    profile = image.info.get("icc_profile")
    if image.mode == "F" or image.mode.startswith("I"):
        image.load()  # may turn a TIFF, whose shape asarray would look up before
        pixels = np.atleast_3d(np.asarray(image))
        if image.mode == "I":  # 32-bit integers that hold 16-bit values
            pixels = pixels.clip(0, 65535).astype(np.uint16)
        return _with_profile(pixels, profile)
    if image.format == "PNG":
        return _with_profile(_read_deep_png(path), profile)
    return _with_profile(_read_deep_tiff(path), profile)


def _read_deep_png(path: Path) -> Pixels:
    import cv2

    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    # "Unchanged" also leaves the EXIF orientation to us.
    pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise PictureError("the 16-bit picture is damaged")
    order = [2, 1, 0, 3][: pixels.shape[2]]  # BGR to RGB
    if encoded[PNG_COLOUR_OFFSET] == PNG_GRAY_ALPHA:
        order = [0, 3]
    return np.asarray(pixels)[..., order]


def _read_deep_tiff(path: Path) -> Pixels:
    import tifffile

    with _silent("tifffile"), _Whole(io.FileIO(path)) as opened, tifffile.TiffFile(opened) as file:
        page = file.pages.first
        # Before any memory is taken: a header may promise what the file does not hold.
        if page.imagewidth * page.imagelength > LARGEST_PICTURE:
            raise Image.DecompressionBombError
        if math.prod(page.chunked) > len(page.dataoffsets):
            raise PictureError("the TIFF is damaged, parts of it are missing")
        if page.photometric not in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.MINISBLACK):
            raise PictureError(
                "a TIFF of this colour space and depth is not supported; save it as RGB"
            )
        pixels = np.asarray(page.asarray())
        if pixels.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            pixels = np.moveaxis(pixels, 0, -1)
    pixels = np.atleast_3d(pixels)
    if pixels.shape[2] > 4 or pixels.dtype not in TIFF_DTYPES:
        raise PictureError(
            f"TIFF with {pixels.shape[2]} channels of {pixels.dtype} is not supported; "
            "save it as 8 or 16-bit RGB"
        )
    return pixels


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Keep a decoder's log off the user's screen; what matters becomes an error of ours."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(logging.CRITICAL + 1)  # of this logger and of those below it
    try:
        yield
    finally:
        log.setLevel(before)


def _with_profile(pixels: Pixels, profile: bytes | None) -> _Decoded:
    """Keep a profile that describes these channels; say so if it describes others."""
    if not profile:
        return _Decoded(pixels, None)
    expected = b"GRAY" if pixels.shape[2] <= 2 else b"RGB "
    if profile[PROFILE_SPACE] != expected:
        return _Decoded(
            pixels, None, ("its colour profile does not fit its pixels and is not kept",)
        )
    return _Decoded(pixels, profile)


def _as_float(pixels: Pixels) -> NDArray[np.float32]:
    """Whole numbers to 0..1; floats as they are."""
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32)
    # Rounded once, so that writing gets the very integer back.
    return np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)


def _turned(pixels: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    """Apply an EXIF orientation (1 to 8) to (H, W, C) pixels; unknown values change nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
