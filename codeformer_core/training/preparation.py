"""From any photos to training data: find, align and pack their faces.

The result is a folder of WebDataset shards: tar files in which `KEY.jpg` is an aligned face and
`KEY.json` says where it comes from.
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import PictureError, SettingError
from ..faces import (
    TEMPLATE,
    TEMPLATE_SIZE,
    Box,
    Face,
    FaceDetector,
    Faces,
    Landmarks,
    affine,
    crop_faces,
    place,
)
from ..images import as_images, read_picture, to_uint8
from ..runtime import Progress
from .shards import ShardWriter
from .sources import shards_in

PROBES = 16
"""Points a side at which a crop is probed for lying in its photo."""


@dataclass(frozen=True)
class FaceSelection:
    """Which faces are worth training on, and how they are stored."""

    size: int = TEMPLATE_SIZE
    """Largest side of a stored face; a face that is smaller in its photo is never enlarged."""
    smallest: int = 128
    """Faces of a smaller side in their photo are left out."""
    outside: float = 0.2
    """Largest share of the crop that may lie outside the photo."""
    confidence: float = 0.8
    """Of the detector."""
    quality: int = 95
    """Of the JPEG, 1 to 100."""

    def __post_init__(self) -> None:
        """Refuse what selects nothing.

        Raises:
            SettingError: sizes that contradict each other.
        """
        if not 1 <= self.quality <= 100:
            raise SettingError(f"JPEG quality must be 1 to 100, got {self.quality}")
        if not 0 < self.smallest <= self.size:
            raise SettingError(
                f"the smallest face ({self.smallest} px) must be from 1 to the size, {self.size}"
            )


@dataclass
class PreparationReport:
    """What became of the photos."""

    photos: int = 0
    faces: int = 0
    too_small: int = 0
    cut_off: int = 0
    without_face: int = 0
    unreadable: list[str] = field(default_factory=list)
    """What is wrong with each photo that could not be read."""


def prepare_faces(
    photos: Sequence[Path],
    out: Path,
    detector: FaceDetector | None,
    selection: FaceSelection | None = None,
    *,
    shard_bytes: int = 60 << 20,
    on_progress: Progress | None = None,
) -> PreparationReport:
    """Find, align and pack the faces of photos.

    Args:
        photos: picture files.
        out: folder for the shards; made if it is not there. Must hold no shards yet.
        detector: finds the faces; None if every picture is an aligned face already.
        selection: which faces to take.
        shard_bytes: a shard is closed before it grows larger.
        on_progress: called after every photo with (photos done, photos in all).

    Raises:
        SettingError: the folder holds shards already.
        PictureError: the folder or a shard cannot be written, or no face was found at all.
    """
    selection = selection or FaceSelection()
    if shards_in(out):
        raise SettingError(f"{out}: holds shards already; choose another folder")
    report = PreparationReport()
    with ShardWriter(out, shard_bytes) as writer:
        for number, path in enumerate(photos):
            for name, data, about in _faces_of(path, detector, selection, report):
                writer.add(f"{number:06d}-{name}", {"jpg": data, "json": about})
            report.photos += 1
            if on_progress is not None:
                on_progress(number + 1, len(photos))
    if not report.faces:
        raise PictureError(f"no usable face in {len(photos)} photos: {report}")
    return report


def _faces_of(
    path: Path, detector: FaceDetector | None, selection: FaceSelection, report: PreparationReport
) -> Iterator[tuple[str, bytes, bytes]]:
    """Each usable face of a photo: name, JPEG, and what is known of it as JSON."""
    try:
        picture = read_picture(path)
    except PictureError as error:
        report.unreadable.append(str(error))
        return
    image = as_images(picture.pixels)[..., :3]
    found = _whole_picture(image) if detector is None else _detect(image, detector, selection)
    report.without_face += not found.count
    for number, face in enumerate(found):
        side = min(selection.size, int(face.placement.face_size + 1e-6))
        if side < selection.smallest:
            report.too_small += 1
        elif share_outside(face) > selection.outside:
            report.cut_off += 1
        else:
            crop = crop_faces(image, Faces(((face,),), found.height, found.width), side)[0]
            report.faces += 1
            about = {"photo": path.name, "side": side, "score": round(float(face.score), 4)}
            name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:60]
            jpeg = _as_jpeg(to_uint8(crop), selection.quality)
            yield f"{name}-{number}", jpeg, json.dumps(about).encode()


def _detect(image: Tensor, detector: FaceDetector, selection: FaceSelection) -> Faces:
    return detector.detect(image, confidence=selection.confidence)


def _whole_picture(image: Tensor) -> Faces:
    """A picture that is an aligned face."""
    height, width = image.shape[1:3]
    side = min(height, width)
    x, y = (width - side) / 2, (height - side) / 2
    scale = side / TEMPLATE_SIZE
    # Pixel centres are whole numbers: the template's edge at -0.5 lies on the picture's.
    points = [
        ((px + 0.5) * scale - 0.5 + x, (py + 0.5) * scale - 0.5 + y) for px, py in TEMPLATE.points
    ]
    landmarks = Landmarks(*points)
    face = Face(
        Box(x, y, x + side, y + side), 1.0, landmarks, place(landmarks, side, height, width)
    )
    return Faces(((face,),), height, width)


def share_outside(face: Face) -> float:
    """Share of a face's crop that lies outside its photo, 0 to 1."""
    placement = face.placement
    places = [(i + 0.5) * placement.crop_size / PROBES - 0.5 for i in range(PROBES)]
    points = affine.apply_all(placement.inverse, [(x, y) for x in places for y in places])
    inside = sum(
        -0.5 <= x <= placement.picture_width - 0.5 and -0.5 <= y <= placement.picture_height - 0.5
        for x, y in points
    )
    return 1 - inside / PROBES**2


def _as_jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, subsampling=0)
    return data.getvalue()
