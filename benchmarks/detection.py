"""Detection costs the same on a photo of any size, and finds the same faces.

The same group photo is searched at 1, 4, 8 and 24 megapixels; then faces too small for the usual
search are searched at larger working sizes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from scenes import group_photo, portraits, sides
from side_by_side import Row, compare, parser, report
from torch import Tensor

from codeformer_core.faces import (
    Box,
    FaceDetector,
    Faces,
    RetinaFaceDetector,
    YuNetDetector,
)
from codeformer_core.images import resize
from codeformer_core.models import load_detector


class Scale(NamedTuple):
    """How much is measured."""

    megapixels: tuple[float, ...] = (1, 4, 8, 24)
    people: int = 12
    search_sizes: tuple[int, ...] = (640, 1280, 1920)
    small_people: int = 108
    resnet: bool = True


QUICK = Scale((0.3, 1.2), 2, (640, 960), 6, resnet=False)


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--weights", type=Path, help="RetinaFace file of the mobile0.25 layout")
    options.add_argument("--photos", type=Path, help="folder with portrait_*.jpg")
    arguments = options.parse_args()
    people, scale = portraits(arguments.photos), QUICK if arguments.quick else Scale()
    rows: list[Row] = []
    for name, detector in detectors(arguments.weights).items():
        rows += by_picture_size(name, detector, people, scale, arguments.repeats)
        rows += by_search_size(name, detector, people, scale, arguments.repeats)
    if scale.resnet:
        network = RetinaFaceDetector(random_resnet50())
        ends = scale._replace(megapixels=(scale.megapixels[0], scale.megapixels[-1]))
        rows += by_picture_size("RetinaFace ResNet50, random weights", network, people, ends, 2)
    report("Detection", rows, arguments.out)


def detectors(weights: Path | None) -> dict[str, FaceDetector]:
    """Return the detectors at hand that find faces, by name."""
    found: dict[str, FaceDetector] = {"YuNet": YuNetDetector()}
    if weights is not None:
        found["RetinaFace mobile0.25"] = load_detector(weights)
    return found


def random_resnet50() -> torch.nn.Module:
    """Return facexlib's larger network with random weights, but sure that nothing is a face."""
    from facexlib.detection.retinaface import RetinaFace

    torch.manual_seed(0)
    network = RetinaFace("resnet50", device="cpu").eval().requires_grad_(False)
    for parameter in network.ClassHead.parameters():
        parameter.zero_()
    return network


def by_picture_size(
    name: str, detector: FaceDetector, people: list[Tensor], scale: Scale, repeats: int
) -> list[Row]:
    """One photo at several sizes: time against the smallest, and the faces found in both."""
    largest = group_photo(*sides(scale.megapixels[-1]), scale.people, people)[None]
    photos = {mega: resize(largest, *sides(mega)) for mega in scale.megapixels}
    found = {mega: detector.detect(photo) for mega, photo in photos.items()}
    ways = {str(mega): partial(detector.detect, photo) for mega, photo in photos.items()}
    times = compare(ways, repeats)
    first = scale.megapixels[0]
    return [
        {
            "detector": name,
            "picture": f"{mega} MP",
            "people": scale.people,
            "found": found[mega].count,
            "also in the first": shared(found[mega], found[first]),
            "seconds": times[str(mega)],
            "times the first": times[str(mega)] / times[str(first)],
        }
        for mega in photos
    ]


def by_search_size(
    name: str, detector: FaceDetector, people: list[Tensor], scale: Scale, repeats: int
) -> list[Row]:
    """Small faces in a large photo, at several sizes of the working copy."""
    megapixels, sizes = scale.megapixels[-1], scale.search_sizes
    photo = group_photo(*sides(megapixels), scale.small_people, people)[None]
    ways = {str(side): partial(detector.detect, photo, search_size=side) for side in sizes}
    times = compare(ways, repeats)
    return [
        {
            "detector": name,
            "picture": f"{megapixels} MP",
            "people": scale.small_people,
            "searched at": f"{side} px",
            "found": detector.detect(photo, search_size=side).count,
            "seconds": times[str(side)],
            "times the first": times[str(side)] / times[str(sizes[0])],
            "times its pixels": (side / sizes[0]) ** 2,
        }
        for side in sizes
    ]


def shared(faces: Faces, others: Faces) -> int:
    """Count faces that both have at the same place, whatever the sizes of the pictures."""
    factor = faces.width / others.width
    return sum(
        any(overlap(face.box, scaled(other.box, factor)) > 0.7 for other in others)
        for face in faces
    )


def scaled(box: Box, factor: float) -> Box:
    """Return the box in a picture enlarged by a factor."""
    return Box(*(factor * edge for edge in (box.left, box.top, box.right, box.bottom)))


def overlap(box: Box, other: Box) -> float:
    """Intersection over union."""
    both = Box(
        max(box.left, other.left),
        max(box.top, other.top),
        min(box.right, other.right),
        min(box.bottom, other.bottom),
    )
    return both.area / (box.area + other.area - both.area)


if __name__ == "__main__":
    main()
