"""Ways to damage a file, all of them drawn from a seeded source."""

import random
import re
import struct
import zlib
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

TAR_BLOCK = 512
TAR_CHECKSUM = slice(148, 156)
TAR_FIELDS = ((0, 100), (100, 8), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))
"""Offset and length of name, mode, size, type, link target, magic and prefix in a tar header."""
TAR_TYPES = b"\x000123456789LKSVxgXM"
VALUES = (
    "0", "-1", "1", "3", "0.0", "1e308", "-0.5", "nan", "inf", "-inf", "true", "''", "'a\\u0000b'",
    "[]", "[[]]", "[1]", "[0.5, 0.1]", "[nan, inf]", "{}", "{a = 1}", "1979-05-27", "9" * 30,
    "9" * 400, "'" + "x" * 5000 + "'",
)  # fmt: skip
"""TOML values that a setting is unlikely to expect."""


def flipped(data: bytes, chance: random.Random) -> bytes:
    """A few bits turned over, most of them where the table of contents is."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        reach = chance.choice([64, 512, 4096, len(data)])
        start = chance.choice([0, max(0, len(data) - reach)])
        changed[min(len(data) - 1, start + chance.randrange(reach))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncated(data: bytes, chance: random.Random) -> bytes:
    """The beginning only."""
    return data[: chance.randrange(len(data))]


def overwritten(data: bytes, chance: random.Random) -> bytes:
    """A run replaced by extreme numbers or noise."""
    start = chance.randrange(len(data))
    run = chance.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" * 4, chance.randbytes(16)])
    return data[:start] + run + data[start + len(run) :]


def spliced(data: bytes, chance: random.Random) -> bytes:
    """A run cut out and put in elsewhere."""
    start = chance.randrange(len(data))
    run = data[start : start + chance.randrange(1, 200)]
    target = chance.randrange(len(data))
    return data[:target] + run + data[target:]


GENERAL: tuple[Mutation, ...] = (flipped, truncated, overwritten, spliced)


def any_of(data: bytes, chance: random.Random) -> bytes:
    """One of the general ways."""
    return chance.choice(GENERAL)(data, chance)


def resealed_png(data: bytes, chance: random.Random) -> bytes:
    """A chunk of a PNG damaged and its checksum made right again, so that decoders go on."""
    if not data.startswith(b"\x89PNG"):
        return any_of(data, chance)
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    victim = chance.randrange(len(chunks))
    kind, body = chunks[victim]
    chunks[victim] = (kind, any_of(body, chance) if body else chance.randbytes(5))
    sealed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:8] + sealed


def resealed_tar(data: bytes, chance: random.Random) -> bytes:
    """A header of a tar file damaged and its checksum made right again."""
    starts = [
        start
        for start in range(0, len(data) - TAR_BLOCK, TAR_BLOCK)
        if data[start + 257 : start + 262] == b"ustar"
    ]
    if not starts:
        return any_of(data, chance)
    start = chance.choice(starts)
    header = bytearray(data[start : start + TAR_BLOCK])
    for _ in range(chance.randint(1, 2)):
        offset, length = chance.choice(TAR_FIELDS)
        header[offset : offset + length] = chance.choice(
            [
                chance.randbytes(length),
                bytes([chance.choice(TAR_TYPES)]) * length,
                b"\xff" * length,
                b"\x80".ljust(length, b"\x7f"),
                b"%0*o" % (length - 1, chance.randrange(8 ** min(length - 1, 11))) + b"\0",
            ]
        )[:length].ljust(length, b"\0")
    return data[:start] + sealed_tar_header(bytes(header)) + data[start + TAR_BLOCK :]


def sealed_tar_header(header: bytes) -> bytes:
    """A tar header with the checksum of its bytes."""
    sealed = bytearray(header)
    sealed[TAR_CHECKSUM] = b" " * 8
    sealed[TAR_CHECKSUM] = b"%06o\0 " % sum(sealed)
    return bytes(sealed)


def other_values(data: bytes, chance: random.Random) -> bytes:
    """Values of a TOML file replaced by ones of other kinds and sizes."""
    lines = data.decode(errors="replace").split("\n")
    for _ in range(chance.randint(1, 3)):
        index = chance.randrange(len(lines))
        changed = re.sub(r"=.*", lambda _: f"= {chance.choice(VALUES)}", lines[index])
        lines[index] = changed if chance.random() < 0.9 else changed.replace("=", ".a =")
    return "\n".join(lines).encode()
