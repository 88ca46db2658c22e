"""Write a JPEG like the one that a picture came from: its tables, and the blocks it shares."""

import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from ..packages import needed_for
from .picture import JpegSource

BLOCK = 8
COMPONENTS = ("Y", "Cb", "Cr")
COARSEST_QUALITY = 75
"""Coarser tables would spoil restored faces: their steps are divided, by whole numbers."""
FRAMES = (0xC0, 0xC1, 0xC2)
"""Markers of the Huffman codings, which jpeglib reads."""
SCAN = 0xDA
COMPONENT_LISTS = {0xC0: (9, 3), 0xC1: (9, 3), 0xC2: (9, 3), SCAN: (4, 2)}
"""Markers of segments that list components: where their number stands, and bytes of each."""


def holds_luma(image: Image.Image) -> bool:
    """Whether the components of an open JPEG are luma alone, or luma and chroma.

    As libjpeg decides: JFIF says so, then Adobe's marker, then the components' names.
    """
    if image.mode != "RGB" or "jfif" in image.info:
        return image.mode in ("L", "RGB")
    if "adobe" in image.info:
        return image.info.get("adobe_transform") != 0
    return bytes(component[0] for component in image.layer) != b"RGB"  # type: ignore[attr-defined]


def tables_of(source: JpegSource) -> dict[str, Any]:
    """Pillow's options for a JPEG like the source, with tables fine enough for restored faces."""
    with Image.open(io.BytesIO(source.content), formats=["JPEG", "MPO"]) as image:
        tables = [table for _, table in sorted(image.quantization.items())]  # type: ignore[attr-defined]
        subsampling = JpegImagePlugin.get_sampling(image)
        progressive = "progressive" in image.info
    return {
        "qtables": [_fine_enough(table, place) for place, table in enumerate(tables)],
        "subsampling": max(0, subsampling),  # -1 is one that Pillow cannot write
        "progressive": progressive,
        "optimize": True,
    }


def _fine_enough(table: list[int], place: int) -> list[int]:
    """A table as it is, or with steps divided by whole numbers where it is coarse.

    So every coefficient of the source stays a whole number of steps.
    """
    table = [max(1, step) for step in table]  # 0 is damage
    finest = _tables_of_quality(COARSEST_QUALITY)[min(place, 1)]
    if np.mean(np.divide(table, finest)) <= 1:
        return table
    return [_divided(step, limit) for step, limit in zip(table, finest, strict=True)]


def _divided(step: int, limit: int) -> int:
    return next(
        step // parts for parts in range(1, step + 1) if step % parts == 0 and step <= parts * limit
    )


def _tables_of_quality(quality: int) -> list[list[int]]:
    """Luma and chroma tables that Pillow writes for a quality."""
    encoded = io.BytesIO()
    Image.new("RGB", (BLOCK, BLOCK)).save(encoded, "JPEG", quality=quality)
    with Image.open(encoded) as image:
        return list(image.quantization.values())  # type: ignore[attr-defined]


def with_blocks_of(source: JpegSource, encoded: bytes, pixels: NDArray[np.uint8]) -> bytes | None:
    """A JPEG with the source's own blocks wherever the pixels are the source's.

    Args:
        source: where the picture came from.
        encoded: a JPEG of the picture with the tables of `tables_of`.
        pixels: (H, W, C) of the picture, turned as in the source.

    Returns:
        The JPEG, the same one if it has another size than the source; None if the blocks of one of
        the two cannot be read, or do not fit into the other.

    Raises:
        MissingModelError: the package jpeglib is missing.
    """
    with Image.open(io.BytesIO(source.content), formats=["JPEG", "MPO"]) as image:
        old = np.atleast_3d(np.asarray(image))
    if old.shape != pixels.shape:
        return encoded
    if not any(segment[1] in FRAMES for segment in _segments(source.content)):
        return None
    with needed_for("keeping the blocks of a JPEG", "jpeglib"):
        import jpeglib
    with TemporaryDirectory() as folder, suppress(OSError):  # damage that Pillow can bear
        paths = [Path(folder, name) for name in ("old.jpg", "new.jpg", "both.jpg")]
        paths[0].write_bytes(source.content)
        paths[1].write_bytes(encoded)
        ours, theirs = (jpeglib.read_dct(str(path)) for path in paths[:2])
        if _take_blocks(ours, theirs, (old == pixels).all(2)):
            theirs.write_dct(str(paths[2]))
            return _mended(paths[2].read_bytes())
    return None


def _take_blocks(source: Any, target: Any, same: NDArray[np.bool_]) -> bool:
    """Put the unchanged blocks of one file into another; whether they fit."""
    largest = BLOCK * target.samp_factor.max(0)
    for place, name in enumerate(COMPONENTS[: target.num_components]):
        old, new = getattr(source, name), getattr(target, name)
        finer = source.get_component_qt(place) / target.get_component_qt(place)
        if old.shape != new.shape or (finer != np.rint(finer)).any():
            return False
        whole = _whole_blocks(same, largest // target.samp_factor[place], new.shape[:2])
        new[whole] = old[whole] * finer.astype(new.dtype)
    return True


def _whole_blocks(
    same: NDArray[np.bool_], size: NDArray[Any], count: tuple[int, int]
) -> NDArray[np.bool_]:
    """(rows, columns): the blocks of (height, width) pixels in which no pixel has changed."""
    (rows, columns), (height, width) = count, size
    padded = np.ones((rows * height, columns * width), bool)
    padded[: same.shape[0], : same.shape[1]] = same[: padded.shape[0], : padded.shape[1]]
    return np.asarray(padded.reshape(rows, height, columns, width).all((1, 3)))


def _mended(encoded: bytes) -> bytes:
    """A JPEG by jpeglib without the segment that it repeats, its components counted from 1."""
    parts: list[bytearray] = []
    for segment in _segments(encoded):
        if segment[1] in COMPONENT_LISTS:
            count, step = COMPONENT_LISTS[segment[1]]
            for place in range(segment[count]):
                segment[count + 1 + step * place] = place + 1
        if segment not in parts[-1:]:
            parts.append(segment)
    return encoded[:2] + b"".join(parts) + encoded[2 + sum(map(len, _segments(encoded))) :]


def _segments(encoded: bytes) -> list[bytearray]:
    """The segments of a JPEG between its first two bytes and its coded pixels."""
    found, start = [bytearray(2)], 2
    while found[-1][1] != SCAN and start + 4 <= len(encoded):
        end = start + 2 + int.from_bytes(encoded[start + 2 : start + 4], "big")
        found.append(bytearray(encoded[start:end]))
        start = end
    return found[1:]
