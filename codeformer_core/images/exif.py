"""The EXIF block of a picture that is turned."""

import struct

ORIENTATION_TAG = 0x0112
PREFIX = b"Exif\0\0"


def with_orientation(exif: bytes | None, orientation: int = 1) -> bytes | None:
    """An EXIF block that says another orientation if it says one, every other byte as it was.

    A block that cannot be parsed is dropped: its orientation could turn the picture again.
    """
    if not exif:
        return None
    block = bytearray(exif if exif.startswith(PREFIX) else PREFIX + exif)
    start = len(PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[start : start + 4]))
    if order is None:
        return None
    try:
        directory = start + struct.unpack_from(order + "I", block, start + 4)[0]
        count = struct.unpack_from(order + "H", block, directory)[0]
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", block, entry)[0] == ORIENTATION_TAG:
                struct.pack_into(order + "H", block, entry + 8, orientation)
    except struct.error:
        return None
    return bytes(block)
