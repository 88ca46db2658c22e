"""Whether a WebP gives every pixel back."""

import os
import struct
from typing import BinaryIO

HEAD = 12
"""Bytes before the first chunk: RIFF, length, WEBP."""
FRAME, FRAME_HEAD = b"ANMF", 16
LOSSY, LOSSLESS = b"VP8 ", b"VP8L"


def is_lossless(file: BinaryIO) -> bool:
    """Whether the first frame is coded without loss (WebP container specification, 2.5 to 2.7)."""
    file.seek(HEAD)
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        if kind in (LOSSY, LOSSLESS):
            return kind == LOSSLESS
        # Chunks begin at even places.
        file.seek(FRAME_HEAD if kind == FRAME else length + length % 2, os.SEEK_CUR)
    return False
