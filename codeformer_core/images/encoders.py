"""The bytes of a picture file, in each format that is written."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import MissingModelError
from ..packages import needed_for
from . import exif
from .decoded import turned
from .jpeg import tables_of, with_blocks_of
from .kinds import PictureFormat
from .metadata import contents, png_chunks, tiff_tags, turned_back
from .picture import JpegSource, Picture
from .png import write_deep_png

DEFAULT_QUALITY = 95
"""High enough that a restored face shows no new blocks."""
OPACITY = {False: "unassalpha", True: "assocalpha"}
"""Tifffile's names of opacity, by whether colours are multiplied by it."""
ROUNDED = "a JPEG's pixels outside the faces changed by rounding: "


@dataclass(frozen=True)
class Content:
    """What goes into a file."""

    pixels: NDArray[Any]
    """(H, W, C) whole numbers or floats: gray or RGB, then opacity, then other channels."""
    picture: Picture
    """Where they come from."""
    format: PictureFormat
    """The kind of file."""
    profile: bytes | None
    """Colour profile that fits the pixels."""
    quality: int | None
    """1 to 100; None keeps what the picture's own file had."""


def encode_jpeg(content: Content) -> tuple[bytes, tuple[str, ...]]:
    """With the tables and blocks of the JPEG that the picture came from, if it did."""
    source = content.picture.coding.jpeg
    if source is None or content.quality is not None:
        quality = content.quality or DEFAULT_QUALITY
        return _save(content, quality=quality, subsampling=0, **_beside_jpeg(content)), ()
    content = _stored_like(source, content)
    encoded = _save(content, **tables_of(source), **_beside_jpeg(content))
    try:
        exact = with_blocks_of(source, encoded, content.pixels)
    except MissingModelError as error:
        return encoded, (f"{ROUNDED}{error}",)
    return exact or encoded, () if exact else (f"{ROUNDED}its blocks do not fit the result",)


def _stored_like(source: JpegSource, content: Content) -> Content:
    """With pixels turned as in the source, if EXIF says so: else its blocks are not the same."""
    if not _fits_exif(content):
        return content
    back = {6: 8, 8: 6}.get(source.orientation, source.orientation)
    pixels = np.ascontiguousarray(turned(content.pixels, back))
    picture = turned_back(content.picture, source.orientation)
    return replace(content, pixels=pixels, picture=picture)


def _beside_jpeg(content: Content) -> dict[str, Any]:
    return _beside(content) | {"extra": b"".join(contents("JPEG", content.picture.blocks))}


def encode_webp(content: Content) -> tuple[bytes, tuple[str, ...]]:
    """Without loss, if the picture's own file had none."""
    options = _beside(content) | {"exact": True}
    if xmp := contents("WEBP", content.picture.blocks):
        options["xmp"] = xmp[0]
    if content.picture.coding.lossless and content.quality is None:
        return _save(content, lossless=True, **options), ()
    return _save(content, quality=content.quality or DEFAULT_QUALITY, **options), ()


def encode_png(content: Content) -> tuple[bytes, tuple[str, ...]]:
    """With 8 or 16 bits."""
    chunks = png_chunks(content.picture.blocks)
    if content.pixels.dtype == np.uint16:
        block = (content.picture.exif or b"")[len(exif.PREFIX) :]
        deep, dpi = io.BytesIO(), content.picture.dpi
        write_deep_png(
            deep, content.pixels, profile=content.profile, dpi=dpi, exif=block, more=chunks
        )
        return deep.getvalue(), ()
    info = PngInfo()
    for kind, body in chunks:
        info.add(kind, body)
    return _save(content, pnginfo=info, compress_level=6, **_beside(content)), ()


def encode_bmp(content: Content) -> tuple[bytes, tuple[str, ...]]:
    """Plain pixels."""
    return _save(content, **_beside(content)), ()


def encode_tiff(content: Content) -> tuple[bytes, tuple[str, ...]]:
    """Deflated, with every channel."""
    with needed_for("a TIFF", "tifffile"):
        import tifffile
    pixels, picture = content.pixels, content.picture
    extras = [] if picture.alpha is None else [OPACITY[picture.coding.premultiplied]]
    extras += ["unspecified"] * (0 if picture.extra is None else picture.extra.shape[2])
    channels, file = pixels.shape[2], io.BytesIO()
    options: dict[str, Any] = {"extrasamples": extras} if extras else {}
    if picture.dpi:
        options |= {"resolution": picture.dpi, "resolutionunit": "INCH"}
    tifffile.imwrite(
        file,
        pixels[..., 0] if channels == 1 else pixels,
        photometric="rgb" if channels - len(extras) == 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="zlib",
        predictor=pixels.dtype.kind != "f",  # of floats it needs imagecodecs
        extratags=tiff_tags(content.profile, picture.blocks),
        metadata=None,
        software=False,
        **options,
    )
    return file.getvalue(), ()


ENCODERS: dict[str, Callable[[Content], tuple[bytes, tuple[str, ...]]]] = {
    "BMP": encode_bmp,
    "JPEG": encode_jpeg,
    "PNG": encode_png,
    "TIFF": encode_tiff,
    "WEBP": encode_webp,
}
"""By Pillow's name of the format: the bytes of a file, and what was lost on the way."""


def _save(content: Content, **options: Any) -> bytes:
    pixels, file = content.pixels, io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, content.format.name, **options)
    return file.getvalue()


def _fits_exif(content: Content) -> bool:
    """Whether there is EXIF, and no more than the format holds."""
    return 0 < len(content.picture.exif or b"") <= content.format.exif


def _beside(content: Content) -> dict[str, Any]:
    """What Pillow writes beside the pixels."""
    picture, options = content.picture, {}
    if content.profile and content.format.icc_profile:
        options["icc_profile"] = content.profile
    if _fits_exif(content):
        options["exif"] = picture.exif
    if picture.dpi and content.format.dpi:
        options["dpi"] = picture.dpi
    return options
