"""Which faces the detectors find in group photos of known faces, and how exactly.

Every photo is composed: aligned faces on a mottled ground, at known places, of one size, turned or
degraded. A face is found where a crop lies on the true one; whatever else is found is false. Photos
without people tell what is taken for a face. Another revision may be searched beside this one, in
processes of its own.

    python benchmarks/detection_quality.py --faces FOLDER --weights FILE --other CHECKOUT
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
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
    Box,
    Face,
    Faces,
    Landmarks,
    affine,
    crop_faces,
    paste_faces,
    place,
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
    *(Scene(f"up to {turn} degrees", turn=turn) for turn in (15, 30, 45, 180)),
    Scene("up to 30 degrees, 24 px", 24.0, 30.0),
    Scene("up to 30 degrees, 256 px", 256.0, 30.0),
    Scene("blur 3 px", degradation=Degradation(blur_x=3.0)),
    Scene("shrunk 4 times", degradation=Degradation(downsample=4.0)),
    Scene("noise 25", degradation=Degradation(gaussian_noise=25.0, sensor_noise=15.0)),
    Scene("JPEG 10", degradation=Degradation(jpeg_quality=10)),
    Scene("all of these, milder", degradation=ALL_OF_IT),
    Scene("the same, up to 30 degrees", turn=30.0, degradation=ALL_OF_IT),
)


SEARCH = """
import json, sys
import numpy, torch
from codeformer_core import load_detector
detector = load_detector(sys.argv[1])
print(detector.name, flush=True)
for line in sys.stdin:
    photo = torch.from_numpy(numpy.load(line.rstrip()))
    faces = detector.detect(photo, min_size=0.0)
    print(json.dumps([face.landmarks.points for face in faces]), flush=True)
"""
"""Runs with the code of any revision: paths of photos in, landmarks out."""


class Searcher:
    """A detector of a revision, in a process of its own."""

    def __init__(self, checkout: Path, detector: str) -> None:
        """Start it."""
        environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
        self._process = subprocess.Popen(
            [sys.executable, "-c", SEARCH, detector],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin and self._process.stdout
        self._asked, self._answers = self._process.stdin, self._process.stdout
        self.name = self._answers.readline().strip()

    def detect(self, photo: Tensor) -> Faces:
        """Search a photo, (1, H, W, 3)."""
        height, width = photo.shape[1:3]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "photo.npy"
            np.save(path, photo.numpy())
            print(path, file=self._asked, flush=True)
            found = [Landmarks(*points) for points in json.loads(self._answers.readline())]
        faces = (Face(_box(each), 1.0, each, place(each, 512, height, width)) for each in found)
        return Faces((tuple(faces),), height, width)

    def close(self) -> None:
        """End it."""
        self._asked.close()
        self._process.wait()


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--weights", type=Path, help="file of another detector")
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--people", type=int, default=120, help="faces of every kind of photo")
    options.add_argument("--other", type=Path, help="checkout of another revision, searched too")
    arguments = options.parse_args()
    scenes, people = SCENES, arguments.people
    if arguments.quick:
        scenes, people = (Scene("64 px"), Scene("256 px, turned", 256.0, 30.0)), 2
    crops = aligned_faces(arguments.faces)
    rows: list[Row] = []
    searchers = detectors(arguments.weights, arguments.other)
    for scene in scenes:
        made = list(photos(scene, crops, people))
        for name, detector in searchers.items():
            rows.append({"detector": name, "photos": scene.name} | searched(detector, made))
    empty = list(photos_of_nobody())
    for name, detector in searchers.items():
        false = sum(detector.detect(photo).count for photo in empty)
        rows.append({"detector": name, "photos": "nobody", "false": false})
        detector.close()
    rows.sort(key=lambda row: list(searchers).index(row["detector"]))
    report("Faces found", rows, arguments.out)
    report("Found, missed, false", side_by_side(rows))


def detectors(weights: Path | None, other: Path | None) -> dict[str, Searcher]:
    """The detectors at hand, by name: a revision's default, and what the weights are."""
    here, found = Path(__file__).parent.parent, {}
    checkouts = [here] if other is None else [here, other]
    # "auto" is the one that needs no file, as long as no model folder holds another.
    names = ["auto"] if weights is None else ["auto", str(weights.resolve())]
    for checkout, name in itertools.product(checkouts, names):
        searcher = Searcher(checkout, name)
        where = "" if checkout == here else f" of {checkout.name}"
        found[searcher.name + where] = searcher
    return found


def side_by_side(rows: list[Row]) -> list[Row]:
    """One row a kind of photo, one column a detector: found, missed and false."""
    kinds = dict.fromkeys(row["photos"] for row in rows)
    return [
        {"photos": kind}
        | {
            row["detector"]: f"{row.get('found', 0)}, {row.get('missed', 0)}, {row['false']}"
            for row in rows
            if row["photos"] == kind
        }
        for kind in kinds
    ]


def aligned_faces(folder: Path | None) -> list[Tensor]:
    """Aligned faces, (S, S, 3) each: those of a folder, or the astronaut's."""
    if folder is not None:
        return [read_picture(path).pixels for path in sorted(folder.glob("*.jpg"))]
    photo = portraits(None)[0][None]
    return [*crop_faces(photo, load_detector("yunet").detect(photo), 512)]


def searched(detector: Searcher, photos: list[tuple[Tensor, list[Face]]]) -> Row:
    """Search all photos of a kind."""
    off: list[float] = []
    people = false = 0
    for photo, truth in photos:
        found = detector.detect(photo[None])
        distances = of_those_found(found, truth)
        off += distances
        false += found.count - len(distances)
        people += len(truth)
    shares = [100 * distance / EYES for distance in off] or [math.nan]
    return {
        "people": people,
        "found": len(off),
        "missed": people - len(off),
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


def photos_of_nobody() -> Iterator[Tensor]:
    """Photos without people, (1, H, W, 3), as they are and degraded."""
    from skimage import data

    for name in TEXTURES.split():
        photo = as_images(np.asarray(getattr(data, name)()))[..., :3].expand(-1, -1, -1, 3)
        yield photo.contiguous()
        yield degrade(photo, ALL_OF_IT, 0)


def _box(landmarks: Landmarks) -> Box:
    """The box of the points, which says nothing of the face's size."""
    across, down = zip(*landmarks.points, strict=True)
    return Box(min(across), min(down), max(across), max(down))


def _distance(face: Face, truth: Face) -> float:
    """How far the crop of a face lies from the true one, in pixels of a 512-pixel crop."""
    there = affine.compose(truth.placement.matrix, face.placement.inverse)
    points = affine.apply_all(there, TEMPLATE.points)
    return sum(map(math.dist, points, TEMPLATE.points)) / len(TEMPLATE.points)


if __name__ == "__main__":
    main()
