"""The numbers of a TIFF: strips and tiles unpacked into one array, whatever their depth."""

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import PictureError

if TYPE_CHECKING:
    from tifffile import TiffPage

Numbers = NDArray[Any]

NO_COMPRESSION = 1
DEFLATE = (8, 32946)
BY_PILLOW = (5, 32773, 34925, 50000)
"""LZW, PackBits, LZMA and Zstandard: codecs of bytes, whatever these stand for."""
BYTE_CODECS = (NO_COMPRESSION, *DEFLATE, *BY_PILLOW)
"""Numbers of the compressions that are undone here."""
PREDICTED = (5, *DEFLATE, 34925, 50000)
"""Compressions before which a predictor may be applied; with others its tag means nothing."""
HORIZONTAL, FLOATING_POINT = 2, 3
"""Predictors: each number holds the difference to its left neighbour."""
SEPARATE = 2
UNSIGNED, FLOAT, UNSTATED = 1, 3, 4
LEAST_PART = 0.05
"""Of a picture that must be in a file; under it there is nothing to restore."""
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read_numbers(page: "TiffPage", file: BinaryIO) -> tuple[Numbers, int]:
    """All numbers of a page whose compression is one of `BYTE_CODECS`.

    Returns:
        (H, W, samples) whole numbers or floats, zero where the file is cut short, and the number
        of rows with such a gap.

    Raises:
        PictureError: the file is damaged, or holds numbers of another kind.
    """
    dtype = number_type(page)
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    deep, across = (page.tilelength, page.tilewidth) if page.is_tiled else (_strip(page), width)
    planes = samples if page.planarconfig == SEPARATE else 1
    places = [
        (top, left, plane)
        for plane in range(planes)
        for top in range(0, height, deep)
        for left in range(0, width, across)
    ]
    _check_parts(page, file, len(places))
    numbers = np.zeros((height, width, samples), dtype)
    gaps = np.zeros(height, bool)
    for (top, left, plane), (start, length) in zip(
        places, zip(page.dataoffsets, page.databytecounts, strict=False), strict=False
    ):
        rows = deep if page.is_tiled else min(deep, height - top)
        file.seek(start)
        part, found = _segment(page, file.read(length), (rows, across, samples // planes), dtype)
        channels = slice(plane, plane + 1) if planes > 1 else slice(None)
        target = numbers[top : top + rows, left : left + across, channels]
        target[:] = part[: target.shape[0], : target.shape[1]]
        gaps[top + found : top + rows] = True
    if gaps.all():
        raise PictureError("the TIFF is damaged, nothing in it can be unpacked")
    return numbers, int(gaps.sum())


def number_type(page: "TiffPage") -> np.dtype[Any]:
    """The type that holds the numbers of a page.

    Raises:
        PictureError: they are signed, complex, or of several depths.
    """
    bits: Any = page.bitspersample  # several of them where the depths differ
    kind = page.sampleformat
    if kind == FLOAT and bits in (16, 32, 64):
        return np.dtype(f"f{bits // 8}")
    if kind not in (UNSIGNED, UNSTATED) or not isinstance(bits, int) or not 1 <= bits <= 32:
        raise PictureError(
            "the TIFF is sound, but its numbers are no shades of a picture (signed, complex, or "
            "of several depths); save it as 8 or 16 bits"
        )
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def _strip(page: "TiffPage") -> int:
    return max(1, min(page.rowsperstrip or page.imagelength, page.imagelength))


def _check_parts(page: "TiffPage", file: BinaryIO, needed: int) -> None:
    """Before any memory is taken: a header may promise what the file does not hold."""
    if len(page.dataoffsets) < needed or len(page.databytecounts) < needed:
        raise PictureError("the TIFF is damaged, parts of it are missing")
    end = file.seek(0, io.SEEK_END)
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    if sum(start + length <= end for start, length in parts) < LEAST_PART * needed:
        if needed > 1 or page.dataoffsets[0] >= end:
            raise PictureError("the file is cut short: almost nothing of the picture is in it")


def _segment(
    page: "TiffPage", data: bytes, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> tuple[Numbers, int]:
    """(rows, columns, samples) numbers of a strip or tile, and how many of its rows are there."""
    rows, columns, samples = shape
    row = -(-columns * samples * page.bitspersample // 8)  # each begins with a whole byte
    if page.fillorder == 2:
        data = data.translate(REVERSED)
    data = _decompressed(page.compression, data, row, rows)
    found = min(rows, len(data) // row)
    packed = np.frombuffer(data[: rows * row].ljust(rows * row, b"\0"), np.uint8)
    packed = packed.reshape(rows, row)
    predictor = page.predictor if page.compression in PREDICTED else 1
    if predictor == FLOATING_POINT:
        packed = _undo_float_predictor(packed, samples, dtype.itemsize)
    big = predictor == FLOATING_POINT or page.parent.byteorder == ">"
    numbers = _unpacked(packed, page.bitspersample, columns * samples, dtype, big)
    numbers = numbers.reshape(shape)
    if predictor == HORIZONTAL:
        numbers = np.add.accumulate(numbers, axis=1, dtype=dtype)  # wraps round
    return numbers, found


def _decompressed(compression: int, data: bytes, row: int, rows: int) -> bytes:
    """The bytes of a segment, fewer than they should be where it is cut short or damaged."""
    if compression == NO_COMPRESSION:
        return data
    try:
        if compression in DEFLATE:
            return zlib.decompressobj().decompress(data, row * rows)
        # Not by Image.open, which would take the bytes for pixels and count them.
        with TiffImageFile(io.BytesIO(_as_gray_tiff(compression, data, row, rows))) as image:
            return image.tobytes()
    except (OSError, ValueError, zlib.error):
        return b""


def _as_gray_tiff(compression: int, data: bytes, width: int, height: int) -> bytes:
    """A TIFF of one strip of single bytes: its codec need not know what they stand for."""
    values = {
        256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: height,
        279: len(data),
    }  # fmt: skip
    padded = data + bytes(len(data) % 2)
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(padded))
    return head + padded + struct.pack("<H", len(values)) + directory + bytes(4)


def _unpacked(
    packed: NDArray[np.uint8], bits: int, count: int, dtype: np.dtype[Any], big: bool
) -> Numbers:
    """(rows, bytes) -> (rows, count) numbers of so many bits each."""
    if bits == 8 * dtype.itemsize:
        stored = dtype.newbyteorder(">" if big else "<")
        return packed.view(stored)[:, :count].astype(dtype)
    if bits == 24 and not big:
        packed = packed.reshape(len(packed), -1, 3)[..., ::-1].reshape(len(packed), -1)
    # Packed numbers begin with their highest bit, in files of either byte order.
    first = np.arange(count) * bits
    places, shifts = first // 8, (40 - bits - first % 8).astype(np.uint64)
    mask = np.uint64((1 << bits) - 1)
    numbers = np.empty((len(packed), count), dtype)
    for target, row in zip(numbers, packed, strict=True):
        padded = np.concatenate([row, np.zeros(4, np.uint8)]).astype(np.uint64)
        window = padded[places]
        for step in range(1, 5):  # five bytes hold 32 bits that begin anywhere in the first
            window = window << np.uint64(8) | padded[places + step]
        target[:] = window >> shifts & mask
    return numbers


def _undo_float_predictor(
    packed: NDArray[np.uint8], samples: int, itemsize: int
) -> NDArray[np.uint8]:
    """Sum up the differences of bytes, and gather those of each float, highest byte first."""
    rows = len(packed)
    summed = np.add.accumulate(packed.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
    planes = summed.reshape(rows, itemsize, -1)
    return np.ascontiguousarray(planes.swapaxes(1, 2)).reshape(rows, -1)
