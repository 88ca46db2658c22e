"""Where faces come from: a folder of pictures, or WebDataset shards (tar files of pictures).

Both are read the same way, as stretches of files. Shards are indexed once and then read at random
instead of streamed, so that the faces of a step do not depend on the steps before it: a run resumes
exactly, and any number of processes can share the work. Nothing is kept open between two reads, so
a set of faces survives threads, forks and pickling.
"""

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import PictureError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SHARD_SUFFIX = ".tar"


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
        data: a folder, or a .tar file. A folder that holds .tar files is read as shards.

    Returns:
        In order of name; only headers have been read.

    Raises:
        PictureError: nothing there, a damaged shard, or a picture that cannot be read.
    """
    if data.suffix.lower() == SHARD_SUFFIX and data.is_file():
        return list(_in_shard(data))
    if not data.is_dir():
        raise PictureError(f"{data}: neither a folder nor a .tar file; correct the setting `data`")
    shards = sorted(data.glob(f"*{SHARD_SUFFIX}"))
    if shards:
        return [picture for shard in shards for picture in _in_shard(shard)]
    return list(_in_folder(data))


def _in_folder(folder: Path) -> Iterator[StoredPicture]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
            name = str(path.relative_to(folder))
            yield StoredPicture(path, name, _side(path, str(path)))


def _in_shard(shard: Path) -> Iterator[StoredPicture]:
    try:
        with tarfile.open(shard) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                if stream and Path(member.name).suffix.lower() in PICTURE_SUFFIXES:
                    side = _side(stream, f"{shard}: {member.name}")
                    yield StoredPicture(shard, member.name, side, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise PictureError(f"{shard}: a damaged shard ({error}); pack or copy it again") from error


def _side(source: Path | IO[bytes], name: str) -> int:
    """Shorter side of a picture, from its header."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(source) as picture:
            return min(picture.size)
    except UnidentifiedImageError as error:
        raise PictureError(f"{name}: not a readable picture; remove it or save it again") from error


def hold_out(
    pictures: Sequence[StoredPicture], share: float
) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Split into those to train on and those to validate on, by the pictures' names alone."""

    def held(picture: StoredPicture) -> bool:
        return zlib.crc32(picture.name.encode()) % 10_000 < share * 10_000

    return [each for each in pictures if not held(each)], [each for each in pictures if held(each)]


class FaceSet:
    """Aligned faces at one size, decoded when they are asked for.

    Args:
        pictures: aligned square faces; those smaller than `size` are left out, because enlarged
            faces would teach the model to blur.
        size: side in pixels.
        memory: bytes of decoded faces that may be kept.

    Raises:
        PictureError: no face is large enough.
    """

    def __init__(self, pictures: Sequence[StoredPicture], size: int, memory: int = 0) -> None:
        self.pictures = [picture for picture in pictures if picture.side >= size]
        if not self.pictures:
            raise PictureError(f"no aligned face of at least {size} px among {len(pictures)}")
        self.size = size
        self._room = memory // (3 * size**2)
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> np.ndarray:
        """A face as (size, size, 3) uint8 RGB.

        Raises:
            PictureError: it cannot be decoded.
        """
        face = self._kept.get(index)
        if face is None:
            face = _decode(self.pictures[index], self.size)
            if len(self._kept) < self._room:
                self._kept[index] = face
        return face


def _decode(picture: StoredPicture, size: int) -> np.ndarray:
    import cv2

    data = np.frombuffer(picture.read(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if pixels is None:
        raise PictureError(f"{picture}: not a readable picture; remove it or save it again")
    if pixels.shape[:2] != (size, size):
        pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[..., ::-1])
