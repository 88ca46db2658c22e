"""Pictures of more than 8 bits a channel, which Pillow would cut."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import PictureError
from ..packages import needed_for
from . import png
from .decoded import Decoded, Numbers, of_channels
from .modes import decode_mode

DEPTH_PLACES = {"JPEG2000": (b"ihdr", 10), "AVIF": (b"av1C", 2)}
"""The box of a file that says how many bits a channel has, and the byte there."""
DEPTH_REACH = 4096
MORE_CODECS = "imagecodecs"
"""The package that decodes AVIF and JPEG XL in full depth."""
HEIF_BITS = 16
"""To which pillow_heif shifts the numbers of deeper pictures."""

Decoder = Callable[[Image.Image, BinaryIO], Decoded]


def deep_decoder(image: Image.Image, file: BinaryIO) -> Decoder | None:
    """What decodes an open picture whose channels have more than 8 bits; None for others."""
    if image.format == "PNG":
        return _png if png.header(file).depth > 8 else None
    if image.format in SAYING and image.mode != "F":
        return SAYING[image.format] if said_bits(image, file) > 8 else None
    if image.mode == "F" or image.mode.startswith("I"):
        return _as_it_is
    return _by_imagecodecs if image.format == "JXL" and find_spec(MORE_CODECS) else None


def said_bits(image: Image.Image, file: BinaryIO) -> int:
    """Bits of a channel that the header of a PPM, HEIF, AVIF or JPEG 2000 tells."""
    if image.format == "PPM":
        return int(_ppm_layout(image)[1]).bit_length()
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    mark, place = DEPTH_PLACES[image.format or ""]
    before = file.tell()  # where Pillow goes on
    file.seek(0)
    after = file.read(DEPTH_REACH).partition(mark)[2]
    file.seek(before)
    said = int.from_bytes(after[place : place + 1], "big")
    if image.format == "AVIF":  # flags: more than 8, more than 10
        return 8 + 2 * (said >> 6 & 1) + 2 * (said >> 5 & 1)
    return (said & 0x7F) + 1


def _png(image: Image.Image, file: BinaryIO) -> Decoded:
    gray = png.header(file).colours in png.GRAYS
    file.seek(0)
    encoded = file.read()
    if png.is_cut_short(encoded):  # OpenCV would be silent about it
        raise OSError("image file is truncated")  # in Pillow's words
    decoded = _by_opencv(encoded)
    if gray:
        decoded.pixels = decoded.pixels[..., :1]
        hidden = image.info.get("transparency")
        if isinstance(hidden, int):  # the shade of gray that stands for nothing
            decoded.alpha = (decoded.pixels[..., 0] != np.float32(hidden / 65535)).astype("f4")
    return decoded


def _jpeg_2000(image: Image.Image, file: BinaryIO) -> Decoded:
    bits = said_bits(image, file)
    file.seek(0)
    # Pillow makes white black when it cuts these.
    return _by_opencv(file.read(), float((1 << bits) - 1))


def _by_opencv(encoded: bytes, white: float | None = None) -> Decoded:
    """Decode 16 bits a channel by OpenCV, which is not quiet by itself."""
    with needed_for("more than 8 bits a channel", "opencv-python"):
        import cv2
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        # "Unchanged" also leaves the EXIF orientation to us.
        numbers = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        log.setLogLevel(level)
    if numbers is None or numbers.dtype != np.uint16:
        raise PictureError("the picture of more than 8 bits is damaged")
    numbers = np.atleast_3d(numbers)
    if numbers.shape[2] > 1:
        numbers = numbers[..., [2, 1, 0, 3][: numbers.shape[2]]]  # BGR to RGB
    return of_channels(numbers, white)


def _as_it_is(image: Image.Image, _: BinaryIO) -> Decoded:
    """16-bit gray and floats, which Pillow does keep."""
    pixels = np.asarray(image)
    if image.mode == "I":  # 32-bit integers that hold 16-bit values
        pixels = pixels.clip(0, 65535).astype(np.uint16)
    return of_channels(pixels)


def _ppm_layout(image: Image.Image) -> tuple[int, int]:
    """Where the numbers of a PPM begin, and the largest they can be."""
    (codec, _, start, arguments), *_ = getattr(image, "tile", [])
    if codec == "raw":
        return start, 65535 if image.mode.startswith("I") else 255
    return start, int(arguments[-1])


def _ppm(image: Image.Image, file: BinaryIO) -> Decoded:
    start, white = _ppm_layout(image)
    if file.seek(0) == 0 and file.read(2) in (b"P2", b"P3"):  # digits
        return _cut_to_eight(image, white.bit_length(), "save it as a binary PPM")
    file.seek(start)
    channels = len(image.getbands())
    numbers = np.frombuffer(file.read(image.width * image.height * channels * 2), ">u2")
    if numbers.size < image.width * image.height * channels:
        raise OSError("image file is truncated")  # in Pillow's words
    shape = (image.height, image.width, channels)
    return of_channels(numbers.reshape(shape).astype(np.uint16), white)


def _heif(image: Image.Image, file: BinaryIO) -> Decoded:
    import pillow_heif

    file.seek(0)
    opened = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
    bits = said_bits(image, file)
    return of_channels(np.asarray(opened) >> (HEIF_BITS - bits), float((1 << bits) - 1))


def _by_imagecodecs(image: Image.Image, file: BinaryIO) -> Decoded:
    bits = 0 if image.format == "JXL" else said_bits(image, file)
    if not find_spec(MORE_CODECS):
        return _cut_to_eight(image, bits, f"pip install {MORE_CODECS} keeps them")
    numbers = _numbers_by_imagecodecs(image.format or "", file)
    if numbers.shape[:2] != (image.height, image.width):
        raise PictureError("the picture is damaged: its size differs from what it says")
    return of_channels(numbers, float((1 << bits) - 1) if bits else None)


def _numbers_by_imagecodecs(name: str, file: BinaryIO) -> Numbers:
    import imagecodecs

    decode = imagecodecs.avif_decode if name == "AVIF" else imagecodecs.jpegxl_decode
    file.seek(0)
    return np.asarray(decode(file.read()))


def _cut_to_eight(image: Image.Image, bits: int, remedy: str) -> Decoded:
    decoded = decode_mode(image)
    decoded.notes.append(f"its {bits} bits a channel became 8; {remedy}")
    return decoded


SAYING: dict[str, Decoder] = {
    "AVIF": _by_imagecodecs,
    "HEIF": _heif,
    "JPEG2000": _jpeg_2000,
    "PPM": _ppm,
}
"""What decodes formats whose header tells the bits of a channel."""
