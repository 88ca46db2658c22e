"""Where faces come from: a folder of pictures, or WebDataset shards (tar files of pictures).

Both are read the same way, as stretches of files. Shards are indexed once and then read at random
instead of streamed, so that the faces of a step do not depend on the steps before it: a run resumes
exactly, and any number of processes can share the work. Nothing is kept open between two reads.
"""

import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import PictureError
from ..images import picture_files, shorter_side

if TYPE_CHECKING:
    from typing_extensions import Self

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PICTURE_FORMATS = ("JPEG", "PNG", "WEBP")
SHARD_SUFFIX = ".tar"
NOTES_SUFFIX = ".json"
MOST_OFTEN = 100.0
"""Times that a face may come in an epoch."""
LONGEST_NOTE = 1 << 14
"""Bytes of an extended header of a shard: long names need no more."""
NOTES = (b"x", b"g", b"X", b"L", b"K")
"""Types of extended headers of tar files, which describe the member after them."""


@dataclass(frozen=True)
class StoredPicture:
    """An encoded picture: a file, or a stretch of one."""

    path: Path
    """The picture's file, or the shard it is in."""
    name: str
    """The picture's own name."""
    side: int
    """Shorter side in pixels."""
    offset: int = 0
    """First byte."""
    length: int = -1
    """Number of bytes; -1 is up to the end."""
    weight: float = 1.0
    """How often it comes in an epoch."""
    person: str = ""
    """A number, where others of the pictures may show the same person."""

    def read(self) -> bytes:
        """The encoded bytes."""
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.length)

    def __str__(self) -> str:
        return str(self.path) if self.length < 0 else f"{self.path}: {self.name}"


def find_pictures(data: Path) -> list[StoredPicture]:
    """All pictures of a folder and its subfolders, of one shard, or of a folder of shards.

    Args:
        data: a folder, or a .tar file. A folder that holds .tar files is read as shards. Hidden
            files count nowhere.

    Returns:
        In order of name; only headers have been read.

    Raises:
        PictureError: nothing there, a damaged shard, or a picture that cannot be read.
    """
    pictures = list(_pictures_of(data))
    if not pictures:
        raise PictureError(f"{data}: holds no picture ({', '.join(PICTURE_SUFFIXES)})")
    return pictures


def shards_in(folder: Path) -> list[Path]:
    """Shards of a folder in order of name, without hidden files."""
    return sorted(path for path in folder.glob(f"*{SHARD_SUFFIX}") if not _is_hidden(path))


def _pictures_of(data: Path) -> Iterator[StoredPicture]:
    if data.suffix.lower() == SHARD_SUFFIX and data.is_file():
        return _in_shard(data)
    if not data.is_dir():
        raise PictureError(f"{data}: neither a folder nor a .tar file; correct the setting `data`")
    if shards := shards_in(data):
        return (picture for shard in shards for picture in _in_shard(shard))
    return _in_folder(data)


def _in_folder(folder: Path) -> Iterator[StoredPicture]:
    for path in picture_files(folder, PICTURE_SUFFIXES):
        side = shorter_side(path, str(path), PICTURE_FORMATS)
        yield StoredPicture(path, str(path.relative_to(folder)), side)


def _in_shard(shard: Path) -> Iterator[StoredPicture]:
    """The ordinary files of a shard; its links name pictures that are in it anyway."""
    end = shard.stat().st_size
    pictures: list[StoredPicture] = []
    notes: dict[str, tuple[float, str]] = {}
    try:
        # ":" is for "not compressed": one that is could not be read at random.
        with tarfile.open(shard, "r:", tarinfo=_CheckedMember) as archive:
            for member in archive:
                if not 0 <= member.size <= end - member.offset_data or member.issparse():
                    raise _damaged(shard, f"{member.name[:80]!r} is not all there")
                name = Path(member.name)
                wanted = member.isreg() and not _is_hidden(name)
                stream = archive.extractfile(member) if wanted else None
                if stream is not None and name.suffix.lower() in PICTURE_SUFFIXES:
                    side = shorter_side(stream, f"{shard}: {name}", PICTURE_FORMATS)
                    place = (member.offset_data, member.size)
                    pictures.append(StoredPicture(shard, member.name, side, *place))
                elif stream is not None and name.suffix == NOTES_SUFFIX:
                    notes[str(name.with_suffix(""))] = _notes(stream.read(LONGEST_NOTE))
    except (tarfile.TarError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise _damaged(shard, str(error)) from error
    for picture in pictures:
        weight, person = notes.get(str(Path(picture.name).with_suffix("")), (1.0, ""))
        yield replace(picture, weight=weight, person=person)


def _is_hidden(path: Path) -> bool:
    """Such as what a Mac leaves beside each file that it copies or packs."""
    return path.name.startswith(".")


def _notes(notes: bytes) -> tuple[float, str]:
    """How often a face comes and whom it shows: once, and nobody known, where nothing says so."""
    try:
        known = json.loads(notes)
        weight, person = known.get("weight"), known.get("person")
    except (ValueError, AttributeError, RecursionError):
        return 1.0, ""
    is_weight = isinstance(weight, float) and 0 < weight <= MOST_OFTEN
    is_number = isinstance(person, str) and person.isascii() and person.isdigit()
    return weight if is_weight else 1.0, person if is_number else ""


def _damaged(shard: Path, reason: str) -> PictureError:
    return PictureError(f"{shard}: a damaged shard ({reason}); pack or copy it again")


class _CheckedMember(tarfile.TarInfo):
    """A header that ends the reading where `tarfile` would end quietly, or never."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Self":
        """Read a header block.

        Raises:
            ValueError: it is damaged.
        """
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if not any(buf):  # the blocks of zeros after the last member, or the end of the file
                raise
            raise ValueError(f"a damaged header: {error}") from error
        if member.size < 0 or (member.type in NOTES and member.size > LONGEST_NOTE):
            raise ValueError("a header of impossible size")
        return member


def hold_out(
    pictures: Sequence[StoredPicture], share: float
) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Split into those to train on and those to validate on, by the pictures' names alone."""

    def held(picture: StoredPicture) -> bool:
        return zlib.crc32(os.fsencode(picture.name)) % 10_000 < share * 10_000

    return [each for each in pictures if not held(each)], [each for each in pictures if held(each)]


class FaceSet:
    """Aligned faces at one size: decoded once and kept on the device, if it has room for them.

    Else they stay encoded, and threads decode a batch while the one before is trained on.

    Args:
        pictures: aligned square faces; those smaller than `size` are left out, because enlarged
            faces would teach the model to blur.
        size: side in pixels.
        memory: bytes of decoded faces that may be kept.
        workers: threads that decode.

    Raises:
        PictureError: no face is large enough.
    """

    def __init__(
        self,
        pictures: Sequence[StoredPicture],
        size: int,
        memory: int = 2 << 30,
        workers: int = 2,
    ) -> None:
        self.pictures = [picture for picture in pictures if picture.side >= size]
        if not self.pictures:
            raise PictureError(f"no aligned face of at least {size} px among {len(pictures)}")
        self.size = size
        self.weights = [picture.weight for picture in self.pictures]
        self._fits = len(self.pictures) * 3 * size**2 <= memory
        self._kept: Tensor | None = None
        self._pool = ThreadPoolExecutor(max(1, workers))
        self._coming: dict[int, Future[np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Some faces on a device: (B, size, size, 3) uint8 RGB.

        Raises:
            PictureError: one cannot be decoded.
        """
        if not self._fits:
            return self._decoded(indices.tolist()).to(device, non_blocking=True)
        if self._kept is None:
            self._kept = self._decoded(range(len(self))).to(device)
        return self._kept[torch.from_numpy(indices).to(device, non_blocking=True)]

    def expect(self, indices: np.ndarray) -> None:
        """Begin to decode faces that will be asked for next."""
        if not self._fits:
            self._begin(indices.tolist())

    def _decoded(self, indices: Sequence[int]) -> Tensor:
        self._begin(indices)
        coming = self._coming
        faces = np.stack([coming[index].result() for index in indices])
        self._coming = {index: each for index, each in coming.items() if index not in set(indices)}
        return torch.from_numpy(faces)

    def _begin(self, indices: Sequence[int]) -> None:
        for index in set(indices) - set(self._coming):
            self._coming[index] = self._pool.submit(_decode, self.pictures[index], self.size)


def _decode(picture: StoredPicture, size: int) -> np.ndarray:
    import cv2

    data = np.frombuffer(picture.read(), np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise PictureError(f"{picture}: not a readable picture; remove it or save it again")
    if pixels.shape[:2] != (size, size):
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[..., ::-1])
