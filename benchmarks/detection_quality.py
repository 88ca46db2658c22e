"""Which faces the detectors find in group photos of known faces, and how exactly.

Every photo is composed: aligned faces on a mottled ground, at known places, of one size, turned or
degraded. A face is found where a crop lies on the true one; whatever else is found is false. Photos
without people tell what is taken for a face.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scenes import face_at, portraits
from side_by_side import Row, parser, report
from torch import Tensor
from torch.nn import functional

from codeformer_core import load_detector
from codeformer_core.degradation import Degradation, degrade
from codeformer_core.faces import (
    TEMPLATE,
    Face,
    FaceDetector,
    Faces,
    affine,
    crop_faces,
    paste_faces,
    square_mask,
)
from codeformer_core.images import as_images, read_picture

HEIGHT, WIDTH = 640, 960
"""Of the photos: what the detectors search them at, so that faces have the sizes they see."""
FACE_SHARE = 0.73
"""Forehead to chin, as a share of the side of an aligned crop."""
EYES = math.dist(TEMPLATE.left_eye, TEMPLATE.right_eye)
"""The largest mean distance of the five points, in a 512-pixel crop, of a face that was found."""
TEXTURES = "brick clock coffee grass gravel hubble_deep_field moon page retina rocket text"
"""Photos of scikit-image without people, portraits of coins, or cats."""


@dataclass(frozen=True)
class Scene:
    """One kind of photo."""

    name: str
    size: float = 64.0
    """Height of the faces in pixels, forehead to chin."""
    turn: float = 0.0
    """Largest angle of the faces to either side, in degrees."""
    degradation: Degradation | None = None


ALL_OF_IT = Degradation(blur_x=2.0, downsample=2.0, gaussian_noise=10.0, jpeg_quality=30)
SCENES = (
    *(Scene(f"{size} px", size) for size in (12, 16, 24, 32, 64, 128, 256, 512)),
    *(Scene(f"up to {turn} degrees", turn=turn) for turn in (15, 30, 45)),
    Scene("up to 30 degrees, 24 px", 24.0, 30.0),
    Scene("up to 30 degrees, 256 px", 256.0, 30.0),
    Scene("blur 3 px", degradation=Degradation(blur_x=3.0)),
    Scene("shrunk 4 times", degradation=Degradation(downsample=4.0)),
    Scene("noise 25", degradation=Degradation(gaussian_noise=25.0, sensor_noise=15.0)),
    Scene("JPEG 10", degradation=Degradation(jpeg_quality=10)),
    Scene("all of these, milder", degradation=ALL_OF_IT),
    Scene("the same, up to 30 degrees", turn=30.0, degradation=ALL_OF_IT),
)


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--weights", type=Path, help="file of another detector")
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--people", type=int, default=120, help="faces of every kind of photo")
    arguments = options.parse_args()
    scenes, people = SCENES, arguments.people
    if arguments.quick:
        scenes, people = (Scene("64 px"), Scene("256 px, turned", 256.0, 30.0)), 2
    crops = aligned_faces(arguments.faces)
    rows: list[Row] = []
    for name, detector in detectors(arguments.weights).items():
        rows += [{"detector": name} | searched(detector, s, crops, people) for s in scenes]
        rows.append({"detector": name, "photos": "nobody", "false": false_finds(detector)})
    report("Faces found", rows, arguments.out)


def detectors(weights: Path | None) -> dict[str, FaceDetector]:
    """The detectors at hand, by name."""
    found = [load_detector("yunet")]
    if weights is not None:
        found.append(load_detector(weights))
    return {detector.name: detector for detector in found}


def aligned_faces(folder: Path | None) -> list[Tensor]:
    """Aligned faces, (S, S, 3) each: those of a folder, or the astronaut's."""
    if folder is not None:
        return [read_picture(path).pixels for path in sorted(folder.glob("*.jpg"))]
    photo = portraits(None)[0][None]
    return [*crop_faces(photo, load_detector("yunet").detect(photo), 512)]


def searched(detector: FaceDetector, scene: Scene, crops: list[Tensor], people: int) -> Row:
    """Search all photos of a kind."""
    off: list[float] = []
    false = 0
    for photo, truth in photos(scene, crops, people):
        found = detector.detect(photo[None], min_size=0.0)
        distances = of_those_found(found, truth)
        off += distances
        false += found.count - len(distances)
    shares = [100 * distance / EYES for distance in off] or [math.nan]
    return {
        "photos": scene.name,
        "people": people,
        "found": len(off),
        "false": false,
        "off by, % of the eyes' distance": float(np.median(shares)),
        "a tenth by": float(np.percentile(shares, 90)),
    }


def photos(scene: Scene, crops: list[Tensor], people: int) -> Iterator[tuple[Tensor, list[Face]]]:
    """Compose photos, (H, W, 3), with their true faces."""
    side = scene.size / FACE_SHARE
    columns, rows = (max(1, int(length / (1.15 * side))) for length in (WIDTH, HEIGHT))
    each = min(people, columns * rows, 30)
    for first in range(0, people, each):
        random = torch.Generator().manual_seed(first)
        count = min(each, people - first)
        cells = torch.randperm(columns * rows, generator=random)[:count].tolist()
        turns = math.radians(scene.turn) * (2 * torch.rand(count, generator=random) - 1)
        truth = [
            face_at(
                ((cell % columns + 0.5) * WIDTH / columns, (cell // columns + 0.5) * HEIGHT / rows),
                *(side, float(turn), HEIGHT, WIDTH),
            )
            for cell, turn in zip(cells, turns, strict=True)
        ]
        photo = ground(first)
        chosen = itertools.islice(itertools.cycle(crops), first, first + count)
        for face, crop in zip(truth, chosen, strict=True):
            faces = Faces(((face,),), HEIGHT, WIDTH)
            photo, _ = paste_faces(photo, crop[None], faces, masks=square_mask(256)[None])
        if scene.degradation is not None:
            photo = degrade(photo, scene.degradation, first)
        yield photo[0].clamp(0, 1), truth


def ground(seed: int) -> Tensor:
    """A mottled ground, (1, H, W, 3): noise of several sizes."""
    random = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, HEIGHT, WIDTH)
    for size in (4, 8, 16, 32, 64, 128):
        noise = torch.randn(1, 3, HEIGHT // size, WIDTH // size, generator=random)
        picture += size**0.5 * functional.interpolate(noise, (HEIGHT, WIDTH), mode="bicubic")
    shade = 0.5 + 0.15 * (picture - picture.mean()) / picture.std()
    return shade.clamp(0, 1).movedim(1, -1)


def of_those_found(found: Faces, truth: list[Face]) -> list[float]:
    """Mean distance of the five points, in the true crop, of every true face that was found."""
    left, distances = list(found), []
    for face in truth:
        distance, nearest = min(
            ((_distance(other, face), index) for index, other in enumerate(left)),
            default=(math.inf, 0),
        )
        if distance < EYES:
            distances.append(distance)
            del left[nearest]
    return distances


def false_finds(detector: FaceDetector) -> int:
    """Count what is taken for a face in photos without people, as they are and degraded."""
    from skimage import data

    count = 0
    for name in TEXTURES.split():
        photo = as_images(np.asarray(getattr(data, name)()))[..., :3]
        photo = photo.expand(-1, -1, -1, 3)
        for picture in (photo, degrade(photo, ALL_OF_IT, 0)):
            count += detector.detect(picture, min_size=0.0).count
    return count


def _distance(face: Face, truth: Face) -> float:
    """How far the crop of a face lies from the true one, in pixels of a 512-pixel crop."""
    there = affine.compose(truth.placement.matrix, face.placement.inverse)
    points = affine.apply_all(there, TEMPLATE.points)
    return sum(map(math.dist, points, TEMPLATE.points)) / len(TEMPLATE.points)


if __name__ == "__main__":
    main()
