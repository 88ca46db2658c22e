"""What Pillow decodes into 8 bits a channel, of any of its modes."""

import io

import numpy as np
from PIL import Image, ImageCms

from ..errors import PictureError
from .decoded import Decoded, of_channels

GRAY_MODES = ("1", "L", "LA", "La")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX")


def decode_mode(image: Image.Image) -> Decoded:
    """Decode a picture of 8 bits a channel.

    Raises:
        PictureError: its colours cannot be converted.
    """
    if image.mode not in (*GRAY_MODES, *COLOUR_MODES):
        return convert_colours(image, image.info.get("icc_profile"))
    alpha = image.has_transparency_data
    if image.mode in GRAY_MODES:
        mode = "LA" if alpha else "L"
    else:
        mode = "RGBA" if alpha else "RGB"
    if image.mode == "La":  # Pillow converts it only to LA
        image = image.convert("LA")
    decoded = of_channels(np.asarray(image.convert(mode)))
    decoded.icc_profile = image.info.get("icc_profile")
    return decoded


def convert_colours(image: Image.Image, profile: bytes | None) -> Decoded:
    """Convert CMYK, Lab, YCbCr or HSV to sRGB, through the file's own profile where it has one.

    Raises:
        PictureError: they cannot be converted.
    """
    mode, converted = image.mode, None
    if profile is None:
        note = f"{mode} became RGB"
    else:
        note = f"{mode} became sRGB"
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        except ImageCms.PyCMSError:
            note = f"{mode} became RGB without its colour profile, which is damaged"
    try:
        decoded = of_channels(np.asarray(converted or image.convert("RGB")))
    except ValueError as error:
        raise PictureError(f"its colours ({mode}) cannot be converted to RGB") from error
    decoded.notes.append(note)
    return decoded
