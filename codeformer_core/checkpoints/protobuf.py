"""Protocol Buffers as they lie in a file: numbered fields, nested by length; nothing is copied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from .pickled import RefusedError

Field = int | memoryview
"""A number, or the bytes of a text, of packed numbers or of a message inside."""

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Wire types: how a field's value is stored."""
LENGTHS = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
LONGEST_VARINT = 10
MOST_FIELDS = 200_000
"""Of one message; the graph of a restorer has about a thousand nodes."""
CUT_OFF = "it is cut off, or damaged"


class Message:
    """The fields of one message, by number, in the order in which they come."""

    def __init__(self, data: memoryview) -> None:
        """Read the fields, but not what is inside of them.

        Raises:
            RefusedError: they do not fit into the bytes, or are too many.
        """
        self._fields: dict[int, list[Field]] = defaultdict(list)
        for count, (number, value) in enumerate(_fields(data)):
            if count >= MOST_FIELDS:
                raise RefusedError("it has more parts than any model's")
            self._fields[number].append(value)

    def messages(self, number: int) -> list[Message]:
        """All messages of a number."""
        return [Message(data) for data in self.blobs(number)]

    def blobs(self, number: int) -> list[memoryview]:
        """All values of a number that are stored as bytes."""
        return [value for value in self._fields.get(number, ()) if isinstance(value, memoryview)]

    def texts(self, number: int) -> list[str]:
        """All texts of a number."""
        return [str(data, "utf-8", "replace") for data in self.blobs(number)]

    def text(self, number: int) -> str:
        """The last text of a number, or nothing."""
        return next(reversed(self.texts(number)), "")

    def numbers(self, number: int) -> list[int]:
        """All signed 64-bit numbers of a number, packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, ()):
            if isinstance(value, int):
                found.append(signed(value))
            else:
                found += [signed(each) for each in packed(value)]
        return found

    def count(self, number: int) -> int:
        """How many numbers there are of a number, packed or not, without reading them."""
        alone = sum(isinstance(value, int) for value in self._fields.get(number, ()))
        return alone + sum(_ends(data) for data in self.blobs(number))

    def number(self, number: int, default: int = 0) -> int:
        """The last number of a number."""
        return next(reversed(self.numbers(number)), default)


def packed(data: memoryview) -> Iterator[int]:
    """Numbers one after the other, as many as fit into one message.

    Raises:
        RefusedError: too many, or the last is cut off.
    """
    place = 0
    for _ in range(MOST_FIELDS):
        if place >= len(data):
            return
        value, place = _varint(data, place)
        yield value
    raise RefusedError("it has more parts than any model's")


def _ends(data: memoryview) -> int:
    """Bytes that end a number."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) < 0x80))


def signed(value: int) -> int:
    """An unsigned 64-bit number read as a signed one."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _fields(data: memoryview) -> Iterator[tuple[int, Field]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if kind == BYTES:
            length, place = _varint(data, place)
        elif kind in LENGTHS:
            length = LENGTHS[kind]
        else:
            raise RefusedError(CUT_OFF)
        if place + length > len(data):
            raise RefusedError(CUT_OFF)
        yield number, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next field begins."""
    value = 0
    for index, byte in enumerate(data[place : place + LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, place + index + 1
    raise RefusedError(CUT_OFF)
