"""Write a picture so that a crash never leaves half a file, and say what its format cannot hold."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import PictureError
from .decoded import PROFILE_SPACE
from .disk import atomic_write
from .encoders import ENCODERS, Content
from .kinds import PictureFormat, format_of
from .picture import Picture


def write_picture(
    path: str | Path, picture: Picture, *, quality: int | None = None
) -> tuple[str, ...]:
    """Write a picture; the file appears under its name only when it is complete.

    Args:
        path: target; its ending chooses the format (.jpg, .png, .webp, .tif, .bmp).
        picture: what to write, with as many bits as the format and `picture.bits` allow.
        quality: of JPEG and WebP, 1 to 100. None keeps what the picture's own file had: a WebP
            without loss stays without, a JPEG keeps its tables, subsampling and unchanged blocks;
            else 95.

    Returns:
        What the format could not hold, in the user's words.

    Raises:
        DiskFullError: the disk is full.
        MissingModelError: a package that writes this format is missing.
        PictureError: unknown ending, pixels that are not numbers, or a file that cannot be
            written (missing folder, no permission).
    """
    path = Path(path)
    holds = format_of(path)
    pixels = _quantised(picture, holds, path)
    content = Content(pixels, picture, holds, _profile_for(picture), quality)
    try:
        # In memory, for Pillow hides why it could not write to a file.
        encoded, lost = ENCODERS[holds.name](content)
    except (ValueError, TypeError, OSError, struct.error) as error:  # too large for the format
        raise PictureError(f"{path}: cannot be written as {holds.name}: {error}") from error
    with atomic_write(path) as file:
        file.write(encoded)
    return (*what_is_lost(picture, path), *lost)


def what_is_lost(picture: Picture, path: str | Path) -> tuple[str, ...]:
    """What a file of this ending could not hold of a picture, in the user's words.

    Raises:
        PictureError: the ending names no format that can be written.
    """
    holds = format_of(Path(path))
    kept = _profile_for(picture)
    lost = {
        f"{picture.bits} bits a channel became {holds.bits}": picture.bits > holds.bits,
        "its pixels were stored without loss and are not": picture.coding.lossless > holds.lossless,
        "its transparency is not kept": picture.alpha is not None and not holds.alpha,
        "its other channels are not kept": picture.extra is not None and not holds.extra,
        "its colour profile is not kept": picture.icc_profile and not holds.icc_profile,
        "its gray colour profile is not kept: the result has colours": kept != picture.icc_profile
        and holds.icc_profile,
        "its resolution in dpi is not kept": picture.dpi and not holds.dpi,
    }
    words = [each for each, is_lost in lost.items() if is_lost]
    if others := _unfit(picture, holds):
        words.append(f"not kept: {', '.join(others)}")
    return tuple(f"{each} ({holds.name})" for each in words)


def _unfit(picture: Picture, holds: PictureFormat) -> list[str]:
    """Names of the metadata that a format has no place for."""
    unfit = [block.name for block in picture.blocks if block.format != holds.name]
    if len(picture.exif or b"") > holds.exif:
        unfit.append("EXIF")
    return list(dict.fromkeys(unfit))  # each once


def _quantised(picture: Picture, holds: PictureFormat, path: Path) -> NDArray[Any]:
    """All channels that a format holds as (H, W, C) whole numbers, or floats for 32 bits."""
    colours = picture.pixels.detach().cpu().float().numpy()
    if not np.isfinite(colours).all():
        raise PictureError(f"{path}: the picture has pixels that are not numbers; nothing written")
    colours = colours[..., :1] if _is_one_channel(picture) else colours
    parts = [colours]
    if picture.alpha is not None and holds.alpha:
        alpha = picture.alpha.detach().cpu().float().numpy()[..., None]
        multiplied = picture.coding.premultiplied and holds.name == "TIFF"
        parts = [colours * alpha if multiplied else colours, alpha]
    if picture.extra is not None and holds.extra:
        parts.append(picture.extra.detach().cpu().float().numpy())
    values = np.concatenate(parts, axis=2)
    bits = min(picture.bits, holds.bits)
    if bits == 32:
        return values
    whole = np.rint(values.clip(0, 1) * ((1 << bits) - 1))
    return whole.astype(np.uint8 if bits == 8 else np.uint16)


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
