"""Write a picture so that a crash never leaves half a file, and say what its format cannot hold."""

import errno
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import PictureError
from .metadata import (
    EXIF_PREFIX,
    PNG_SIGNATURE,
    jpeg_segments,
    png_chunks,
    tiff_tags,
)
from .picture import Picture, PictureFormat, format_of
from .reading import PROFILE_SPACE

JPEG_QUALITY = 95
"""High enough that a restored face shows no new blocks."""

INCH = 0.0254

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What the system answers when a disk, or the user's share of it, is full."""

PART_SUFFIX = ".part"
"""Of a file that is being written."""


class DiskFullError(PictureError):
    """There is no room for a result; none of those that follow will find any either."""


def write_picture(
    path: str | Path, picture: Picture, *, quality: int = JPEG_QUALITY
) -> tuple[str, ...]:
    """Write a picture; the file appears under its name only when it is complete.

    Args:
        path: target; its ending chooses the format (.jpg, .png, .webp, .tif, .bmp).
        picture: what to write, with as many bits as the format and `picture.bits` allow.
        quality: of JPEG and WebP, 1 to 100.

    Returns:
        What the format could not hold, in the user's words.

    Raises:
        DiskFullError: the disk is full.
        PictureError: unknown ending, pixels that are not numbers, or a file that cannot be
            written (missing folder, no permission).
    """
    path = Path(path)
    file_format = format_of(path)
    pixels = _quantised(picture, file_format, path)
    encoded = io.BytesIO()  # in memory, for Pillow hides why it could not write to a file
    try:
        _encode(encoded, pixels, picture, file_format, quality)
    except (ValueError, TypeError, OSError, struct.error) as error:  # too large for the format
        raise PictureError(f"{path}: cannot be written as {file_format.name}: {error}") from error
    with atomic_write(path) as file:
        file.write(encoded.getbuffer())
    return what_is_lost(picture, path)


def what_is_lost(picture: Picture, path: str | Path) -> tuple[str, ...]:
    """What a file of this ending could not hold of a picture, in the user's words.

    Raises:
        PictureError: the ending names no format that can be written.
    """
    path = Path(path)
    holds = format_of(path)
    name = holds.name
    lost: list[str] = []
    if picture.bits > holds.bits:
        lost.append(f"{picture.bits} bits a channel became {holds.bits} ({name})")
    if picture.alpha is not None and not holds.alpha:
        lost.append(f"its transparency is not kept ({name} has none)")
    if picture.icc_profile and not holds.icc_profile:
        lost.append(f"its colour profile is not kept ({name} has none)")
    elif picture.icc_profile and _profile_for(picture) is None:
        lost.append("its gray colour profile is not kept: the result has colours")
    if picture.dpi and not holds.dpi:
        lost.append(f"its resolution in dpi is not kept ({name} has none)")
    if others := _unfit(picture, holds):
        lost.append(f"not kept ({name}): {', '.join(others)}")
    return tuple(lost)


def _unfit(picture: Picture, holds: PictureFormat) -> list[str]:
    """Names of the metadata that a format has no place for."""
    unfit = [block.name for block in picture.blocks if block.format != holds.name]
    if len(picture.exif or b"") > holds.exif:
        unfit.append("EXIF")
    if len(picture.xmp or b"") > holds.xmp:
        unfit.append("XMP")
    return list(dict.fromkeys(unfit))  # each once


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its name on success and vanishes otherwise.

    Raises:
        DiskFullError: the disk is full.
        PictureError: the folder is missing or not writable.
    """
    with (
        writing_errors(path),
        tempfile.NamedTemporaryFile(
            prefix=_part_prefix(path), suffix=PART_SUFFIX, dir=path.parent, delete=False
        ) as file,
    ):
        temporary = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            temporary.chmod(0o666 & ~_umask())  # it is made with 0600
            temporary.replace(path)
        except BaseException:  # Ctrl-C too must not leave the temporary file behind
            with suppress(OSError):  # what is buffered still finds no room
                file.close()
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while `path` is written into an error for the user.

    Raises:
        DiskFullError: the disk is full.
        PictureError: anything else.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in NO_ROOM else PictureError
        raise kind(f"{path}: cannot be written: {_cause(error)}") from error


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        PictureError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"{folder}: this folder cannot be made: {error.strerror}") from error


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove what a killed process left of files that it was writing under these paths."""
    prefixes: dict[Path, set[str]] = {}
    for path in paths:
        prefixes.setdefault(path.parent, set()).add(_part_prefix(path))
    for folder, names in prefixes.items():
        for part in folder.glob(f".*{PART_SUFFIX}"):
            if f"{part.stem.rpartition('.')[0]}." in names:
                part.unlink(missing_ok=True)


def _part_prefix(path: Path) -> str:
    """How the temporary file of a path begins: short, and another for every name."""
    return f".{path.name[:40]}.{zlib.crc32(os.fsencode(path.name)):08x}."


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cause(error: OSError) -> str:
    if error.errno in NO_ROOM:
        return "the disk is full"
    if error.errno == errno.ENOENT:
        return "its folder does not exist"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission to write there"
    return error.strerror or str(error)


def _quantised(picture: Picture, file_format: PictureFormat, path: Path) -> NDArray[Any]:
    """Pixels and alpha as (H, W, C) whole numbers, or floats for 32 bits; C = 1 to 4."""
    pixels = picture.pixels.detach().cpu().float().numpy()
    if not np.isfinite(pixels).all():
        raise PictureError(f"{path}: the picture has pixels that are not numbers; nothing written")
    parts = [pixels]
    if picture.alpha is not None and file_format.alpha:
        parts.append(picture.alpha.detach().cpu().float().numpy()[..., None])
    values = np.concatenate(parts, axis=2)
    bits = min(picture.bits, file_format.bits)
    if bits < 32:
        top = (1 << bits) - 1
        values = np.rint(values.clip(0, 1) * top).astype(np.uint8 if bits == 8 else np.uint16)
    return values[..., [0, *range(3, values.shape[2])]] if _is_one_channel(picture) else values


def _is_one_channel(picture: Picture) -> bool:
    """Whether a picture that came from a gray file can go back into one."""
    pixels = picture.pixels
    return picture.gray and bool((pixels[..., :1] == pixels[..., 1:]).all())


def _profile_for(picture: Picture) -> bytes | None:
    profile = picture.icc_profile
    if not profile:
        return None
    fits = (profile[PROFILE_SPACE] == b"GRAY") == _is_one_channel(picture)
    return profile if fits else None


def _encode(
    file: IO[bytes],
    pixels: NDArray[Any],
    picture: Picture,
    file_format: PictureFormat,
    quality: int,
) -> None:
    profile = _profile_for(picture)
    if file_format.name == "TIFF":
        _encode_tiff(file, pixels, picture, profile)
    elif pixels.dtype != np.uint8:
        _encode_png16(file, pixels, picture, profile)
    else:
        options = _options(picture, file_format, profile)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        image.save(file, file_format.name, **options, **_compression(file_format.name, quality))


def _options(picture: Picture, file_format: PictureFormat, profile: bytes | None) -> dict[str, Any]:
    """What Pillow writes beside the pixels."""
    options: dict[str, Any] = {}
    if profile and file_format.icc_profile:
        options["icc_profile"] = profile
    if picture.exif and len(picture.exif) <= file_format.exif:
        options["exif"] = picture.exif
    if picture.dpi and file_format.dpi:
        options["dpi"] = picture.dpi
    xmp = picture.xmp if len(picture.xmp or b"") <= file_format.xmp else None
    if file_format.name == "JPEG":
        options["extra"] = jpeg_segments(xmp, picture.blocks)
    elif file_format.name == "PNG":
        options["pnginfo"] = PngInfo()
        for kind, body in png_chunks(xmp, picture.blocks):
            options["pnginfo"].add(kind, body)
    elif xmp and file_format.name == "WEBP":
        options["xmp"] = xmp
    return options


def _compression(name: str, quality: int) -> dict[str, Any]:
    return {
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality, "exact": True},
        "PNG": {"compress_level": 6},
        "BMP": {},
    }[name]


def _encode_png16(
    file: IO[bytes], pixels: NDArray[np.uint16], picture: Picture, profile: bytes | None
) -> None:
    """Write a 16-bit PNG (PNG specification, sections 5 and 11); Pillow writes 8 bits only."""
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.ascontiguousarray(pixels.astype(">u2")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # filter "up": the difference to the row above
    filtered[:, 1:] = rows
    filtered[1:, 1:] -= rows[:-1]
    file.write(PNG_SIGNATURE)
    _png_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    if profile:
        _png_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
    if picture.dpi:
        across, down = (round(dpi / INCH) for dpi in picture.dpi)
        _png_chunk(file, b"pHYs", struct.pack(">IIB", across, down, 1))
    if picture.exif:
        _png_chunk(file, b"eXIf", picture.exif[len(EXIF_PREFIX) :])
    for kind, body in png_chunks(picture.xmp, picture.blocks):
        _png_chunk(file, kind, body)
    _png_chunk(file, b"IDAT", zlib.compress(filtered.tobytes(), 6))
    _png_chunk(file, b"IEND", b"")


def _png_chunk(file: IO[bytes], kind: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + kind + body)
    file.write(struct.pack(">I", zlib.crc32(kind + body)))


def _encode_tiff(
    file: IO[bytes], pixels: NDArray[Any], picture: Picture, profile: bytes | None
) -> None:
    try:
        import tifffile
    except ImportError as error:
        raise PictureError("TIFF files need one more package: pip install tifffile") from error
    channels = pixels.shape[2]
    options: dict[str, Any] = (
        {"resolution": picture.dpi, "resolutionunit": "INCH"} if picture.dpi else {}
    )
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(
        file,
        pixels[..., 0] if channels == 1 else pixels,
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="zlib",
        extratags=tiff_tags(profile, picture.xmp, picture.blocks),
        metadata=None,
        software=False,
        **options,
    )
