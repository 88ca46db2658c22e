"""Pictures with known faces, and networks of the published sizes with random weights."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from codeformer_core.degradation import STAGE_TWO
from codeformer_core.errors import PictureError
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.faces import (
    TEMPLATE,
    Box,
    Face,
    Faces,
    Landmarks,
    YuNetDetector,
    crop_faces,
    place,
)
from codeformer_core.images import as_images, read_picture, readable_suffixes, resize
from codeformer_core.networks import CodeFormer, CodeFormerConfig

PICTURE_ASPECT = 1.5


def sides(megapixels: float) -> tuple[int, int]:
    """Height and width of a photo of so many megapixels."""
    height = math.sqrt(megapixels * 1e6 / PICTURE_ASPECT)
    return round(height), round(height * PICTURE_ASPECT)


def portraits(folder: Path | None) -> list[Tensor]:
    """Pictures of one face each, (H, W, 3): those of a folder, or NASA's of Eileen Collins."""
    if folder is None:
        from skimage.data import astronaut

        return [torch.from_numpy(astronaut()[:300, 70:370]).float() / 255]
    return [read_picture(path).pixels for path in sorted(folder.glob("portrait_*.jpg"))]


def cut_faces(folder: Path | None, size: int, pictures: int) -> Tensor:
    """Faces as YuNet finds them in photos.

    Args:
        folder: its pictures are spread evenly over those it holds; None is the astronaut.
        size: side of the crops in pixels.
        pictures: at most so many are looked at.

    Returns:
        (N, size, size, 3) in 0..1.

    Raises:
        PictureError: there is no face.
    """
    photos = portraits(None) if folder is None else _some_pictures(folder, pictures)
    detector = YuNetDetector()
    crops = [crop_faces(photo[None], detector.detect(photo[None]), size) for photo in photos]
    if not any(map(len, crops)):
        raise PictureError(f"{folder}: no face was found in its pictures")
    return torch.cat(crops)


def degraded_variants(faces: Tensor, count: int) -> Tensor:
    """Degrade (N, S, S, 3) faces in turns, as stage II does and always alike: (count, S, S, 3)."""
    chosen = faces[torch.arange(count) % len(faces)]
    return degrade_faces(chosen, STAGE_TWO, seed=0, first=0)


def _some_pictures(folder: Path, count: int) -> list[Tensor]:
    """At most so many pictures, (H, W, 3)."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in readable_suffixes())
    chosen = paths[:: math.ceil(len(paths) / count) or 1]
    return [as_images(read_picture(path).pixels)[0, ..., :3] for path in chosen]


def group_photo(height: int, width: int, count: int, people: list[Tensor]) -> Tensor:
    """Return (H, W, 3): people side by side in rows, in turns, each a little smaller or larger."""
    columns = math.ceil(math.sqrt(count * width / height))
    rows = math.ceil(count / columns)
    photo = torch.full((height, width, 3), 0.45)
    cell = min(height // rows, width // columns)
    for index in range(count):
        side = round(cell * (0.7 + 0.3 * (index * 7 % 10) / 9))
        top = index // columns * (height // rows)
        left = index % columns * (width // columns)
        person = people[index % len(people)]
        edge = min(person.shape[:2])
        photo[top : top + side, left : left + side] = resize(person[None, :edge, :edge], side, side)
    return photo


def placed_faces(height: int, width: int, count: int, side: float, frames: int = 1) -> Faces:
    """Return faces whose crops cover squares of the given side, in a grid, tilted left and right.

    Args:
        height: of the frames.
        width: of the frames.
        count: faces of every frame; more than fit beside each other overlap.
        side: of the crop's square in picture pixels.
        frames: how many frames.
    """
    columns = max(1, math.ceil(math.sqrt(count * width / height)))
    rows = math.ceil(count / columns)
    faces: list[tuple[Face, ...]] = []
    for _ in range(frames):
        centres = [
            ((index % columns + 0.5) * width / columns, (index // columns + 0.5) * height / rows)
            for index in range(count)
        ]
        faces.append(
            tuple(
                face_at(centre, side, 0.15 * (-1) ** index, height, width)
                for index, centre in enumerate(centres)
            )
        )
    return Faces(tuple(faces), height, width)


def face_at(centre: tuple[float, float], side: float, turn: float, height: int, width: int) -> Face:
    """Return a face whose crop is a square of this side, turned by so many radians."""
    unit = side / 512
    across, down = unit * math.cos(turn), unit * math.sin(turn)
    points = [
        (
            centre[0] + (x - 255.5) * across - (y - 255.5) * down,
            centre[1] + (x - 255.5) * down + (y - 255.5) * across,
        )
        for x, y in TEMPLATE.points
    ]
    landmarks = Landmarks(*points)
    half = side / 2
    box = Box(centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    return Face(box, 0.99, landmarks, place(landmarks, 512, height, width))


def published_codeformer() -> CodeFormer:
    """Return a CodeFormer of the published sizes with random weights."""
    torch.manual_seed(0)
    return CodeFormer(CodeFormerConfig()).eval().requires_grad_(False)
