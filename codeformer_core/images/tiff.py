"""Read TIFF files of any depth, layout, compression and byte order, with their tags."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..errors import PictureError
from ..packages import needed_for
from .decoded import Decoded, Floats, Numbers, held_bits, to_unit
from .metadata import Metadata, in_tiff, resolution
from .modes import convert_colours, decode_mode
from .tiff_segments import BYTE_CODECS, number_type, read_numbers

if TYPE_CHECKING:
    from tifffile import TiffPage

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PROFILE_TAG, ORIENTATION_TAG, RESOLUTION_TAG, COLOUR_MAP_TAG, INKS_TAG = 34675, 274, 282, 320, 332
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, CIELAB, ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, CIELAB: 3, ICCLAB: 3}
"""Colour channels of the photometric interpretations that are read here."""
USUAL_CHANNELS = 8
"""More of them count as more pixels."""
CMYK_INKS = 1
JPEG = (6, 7, 34892)
"""Compressions whose decoder turns YCbCr into RGB."""
PREMULTIPLIED, OPACITY = 1, 2
"""What an extra channel is; others have no stated meaning."""


def read_tiff(file: BinaryIO, largest: int) -> tuple[Decoded, Metadata, int]:
    """Decode the first page of a TIFF.

    Args:
        file: an open file.
        largest: most pixels.

    Returns:
        The pixels, the metadata, and the orientation that the pixels still have.

    Raises:
        DecompressionBombError: it has more pixels.
        MissingModelError: a package that reads it is missing.
        PictureError: it is damaged, or of a kind that is not read.
    """
    with needed_for("a TIFF", "tifffile"):
        import tifffile

    with _silent("tifffile"), tifffile.TiffFile(file) as opened:
        page = opened.pages.first
        area = max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength)
        size = area * -(-page.samplesperpixel // USUAL_CHANNELS)
        if size > largest:
            raise Image.DecompressionBombError(f"{size} pixels")
        tags = {tag.code: tag.value for tag in page.tags}
        found = in_tiff(tags)
        if RESOLUTION_TAG in tags:
            found.dpi = resolution(page.get_resolution("inch"))
        if (pages := sum(not each.is_reduced for each in opened.pages)) > 1:
            found.lost.append(f"only the first of its {pages} pages is used")
        decoded = _decode(page, file, tags)
        if decoded is None:
            return _by_pillow(page, file), found, 1
        return decoded, found, int(tags.get(ORIENTATION_TAG, 1))


def _decode(page: "TiffPage", file: BinaryIO, tags: dict[int, Any]) -> Decoded | None:
    """Decode a page; None if Pillow must try."""
    gaps = 0
    if page.compression in BYTE_CODECS and page.photometric in CHANNELS:
        numbers, gaps = read_numbers(page, file)
    else:
        numbers = _by_imagecodecs(page)
    if numbers is None:
        return None
    decoded = _interpreted(page, numbers, tags)
    if gaps:
        decoded.notes.append(
            f"the file is cut short or damaged: {gaps} of its {page.imagelength} rows are missing"
        )
    return decoded


def _by_imagecodecs(page: "TiffPage") -> Numbers | None:
    """(H, W, samples) of a page that needs that package; None if it is not there or fails."""
    is_rgb = page.photometric == YCBCR and page.compression in JPEG
    if not find_spec("imagecodecs") or not (is_rgb or page.photometric in CHANNELS):
        return None
    try:
        numbers = np.asarray(page.asarray())
    except Exception:  # codecs raise almost anything
        return None
    if numbers.ndim == 3 and page.planarconfig == 2:
        numbers = np.moveaxis(numbers, 0, -1)
    return np.atleast_3d(numbers)


def _by_pillow(page: "TiffPage", file: BinaryIO) -> Decoded:
    """Decode 8 bits of a compression or colour space that libtiff knows, and turn them."""
    try:
        file.seek(0)
        with TiffImageFile(file) as image:
            image.load()
            return decode_mode(image)
    except (OSError, SyntaxError, ValueError, KeyError) as error:
        compression, colours = (
            getattr(each, "name", each) for each in (page.compression, page.photometric)
        )
        if find_spec("imagecodecs") is None and page.compression not in BYTE_CODECS:
            raise PictureError(
                f"the TIFF is sound, but its compression ({compression}) needs one more package: "
                "pip install imagecodecs"
            ) from error
        raise PictureError(
            f"a TIFF of these colours ({colours}, {page.bitspersample} bits, {compression}) is not "
            "supported or damaged; save it as RGB"
        ) from error


def _interpreted(page: "TiffPage", numbers: Numbers, tags: dict[int, Any]) -> Decoded:
    """What the numbers of a page stand for."""
    kinds = [int(kind) for kind in page.extrasamples]
    channels = CHANNELS.get(page.photometric, 3)
    if channels == 1 and numbers.shape[2] >= 3 and not kinds:
        channels = 3  # not told from extra channels, and more likely
    kinds += [0] * (numbers.shape[2] - channels - len(kinds))
    white = _white(page)
    decoded = _colours(page, numbers[..., :channels], white, tags)
    extras = to_unit(numbers[..., channels:], white)
    place = next((i for i, kind in enumerate(kinds) if kind in (PREMULTIPLIED, OPACITY)), None)
    if place is not None:
        decoded.alpha = extras[..., place]
        if kinds[place] == PREMULTIPLIED:
            _divide_by_alpha(decoded)
        extras = np.delete(extras, place, axis=2)
    decoded.extra = extras if extras.shape[2] else None
    decoded.coding = replace(decoded.coding, lossless=page.compression in BYTE_CODECS)
    return decoded


def _white(page: "TiffPage") -> float:
    """The number of full brightness."""
    return 1.0 if number_type(page).kind == "f" else float((1 << page.bitspersample) - 1)


def _colours(page: "TiffPage", numbers: Numbers, white: float, tags: dict[int, Any]) -> Decoded:
    """Gray or RGB of the colour channels."""
    if page.photometric in (CMYK, CIELAB, ICCLAB):
        return _converted(page, numbers, white, tags)
    profile = tags.get(PROFILE_TAG)
    if page.photometric == PALETTE:
        table = np.asarray(tags[COLOUR_MAP_TAG], np.uint16).reshape(3, -1).T  # (colours, RGB)
        return Decoded(to_unit((table >> 8).astype(np.uint8))[numbers[..., 0]], icc_profile=profile)
    if page.photometric == WHITE_IS_ZERO:
        numbers = (white - numbers).astype(numbers.dtype)
    decoded = Decoded(to_unit(numbers, white), bits=held_bits(numbers.dtype), icc_profile=profile)
    if numbers.dtype == np.uint32:
        decoded.notes.append(f"its {page.bitspersample} bits a channel became 16")
    return decoded


def _converted(page: "TiffPage", numbers: Numbers, white: float, tags: dict[int, Any]) -> Decoded:
    """CMYK or Lab, which are converted with 8 bits."""
    if page.photometric == CMYK:
        if tags.get(INKS_TAG, CMYK_INKS) != CMYK_INKS:
            raise PictureError("the TIFF is sound, but its inks are not CMYK; save it as RGB")
        mode, eight = "CMYK", np.rint(numbers * (255 / white)).astype(np.uint8)
    else:
        mode, eight = "LAB", (numbers >> (page.bitspersample - 8)).astype(np.uint8)
        if page.photometric == ICCLAB:  # a* and b* from 0 on, which Pillow wants signed
            eight[..., 1:] ^= 128
    size = (numbers.shape[1], numbers.shape[0])
    image = Image.frombytes(mode, size, np.ascontiguousarray(eight).tobytes())
    decoded = convert_colours(image, tags.get(PROFILE_TAG))
    if page.bitspersample > 8:
        decoded.notes.append(f"its {page.bitspersample} bits a channel became 8")
    return decoded


def _divide_by_alpha(decoded: Decoded) -> None:
    """Bring colours that are multiplied by their opacity to their full strength."""
    assert decoded.alpha is not None
    alpha = decoded.alpha[..., None]
    decoded.coding = replace(decoded.coding, premultiplied=True)
    decoded.pixels = _divided(decoded.pixels, alpha)
    if ((alpha == 0) & (decoded.pixels != 0)).any():
        decoded.notes.append("colours where it is fully transparent are not kept")


def _divided(pixels: Floats, alpha: Floats) -> Floats:
    return np.divide(pixels, alpha, out=pixels.copy(), where=alpha > 0)


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
