"""Colours that a file names by code points (ITU-T H.273) instead of a profile, such as HDR."""

import struct
from typing import Any, BinaryIO

from PIL import Image

from .picture import Block

PRIMARIES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
TRANSFERS = {1: "BT.709", 8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
STANDARD_PRIMARIES = (0, 1, 2)
"""BT.709, which is sRGB's too, or not stated."""
STANDARD_TRANSFERS = (0, 1, 2, 6, 13)
"""What viewers show as sRGB, or not stated."""
MARK = b"colrnclx"
"""Before the code points in a file of the ISO media kind."""
REACH = 1 << 16
"""Bytes in which they stand."""
RGB, FULL_RANGE = 0, 1


def of_file(image: Image.Image, file: BinaryIO) -> Block | None:
    """The PNG chunk (cICP) that says the colours of an AVIF, HEIC or the like; None for sRGB."""
    stated: Any = image.info.get("nclx_profile")
    if stated:
        return as_chunk(stated["color_primaries"], stated["transfer_characteristics"])
    file.seek(0)
    _, mark, after = file.read(REACH).partition(MARK)
    return as_chunk(*struct.unpack_from(">HH", after)) if mark and len(after) >= 4 else None


def as_chunk(primaries: int, transfer: int) -> Block | None:
    """The PNG chunk of these code points; None for those of sRGB."""
    if primaries in STANDARD_PRIMARIES and transfer in STANDARD_TRANSFERS:
        return None
    if primaries > 255 or transfer > 255:
        return None
    words = f"{PRIMARIES.get(primaries, primaries)} {TRANSFERS.get(transfer, transfer)}"
    content = b"cICP" + bytes([primaries, transfer, RGB, FULL_RANGE])
    return Block("PNG", f"colours in {words} (cICP)", content)
