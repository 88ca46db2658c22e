"""People known from photos of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import PictureError
from ..faces import Face, FaceDetector, Faces, crop_faces
from ..images import Pixels, as_images
from ..metrics import IdentityNetwork
from ..runtime import Runtime
from .descriptors import describe_crops

SAME_PERSON = 0.55
"""Descriptors of clean photos nearer than this are of one person. Of 150 people photographed two to
four times, 95% of the pairs of one person are nearer than 0.41, 95% of those of two people farther
than 0.67."""
CROP_SIZE = 512
"""Side of the kept crops in pixels."""
SEARCH_SHARE = 0.9
"""Of the progress, while the photos' faces are searched."""


@dataclass(frozen=True)
class Person:
    """Somebody, as some photos show them."""

    crops: Tensor
    """(K, S, S, 3) float32 in 0..1: the aligned face of each photo."""
    descriptors: Tensor
    """(K, 128) float32 on the CPU."""

    def distances(self, descriptors: Tensor) -> Tensor:
        """(N,) mean distance of (N, 128) descriptors to those of the photos."""
        return torch.cdist(descriptors.float(), self.descriptors).mean(1)


def known_people(
    photos: Sequence[Pixels],
    detector: FaceDetector,
    identity: IdentityNetwork,
    *,
    runtime: Runtime | None = None,
) -> tuple[Person, ...]:
    """Learn who is in reference photos; photos of one person are put together.

    Args:
        photos: pictures or batches of them; of each, its largest face counts.
        detector: finds it.
        identity: the network that tells people apart.
        runtime: where networks run and progress goes.

    Returns:
        Everybody, in the order in which they first appear.

    Raises:
        OutOfMemoryError: there is no room even for one picture.
        PictureError: a photo without a face.
    """
    crops, descriptors = _described(photos, detector, identity, runtime or Runtime())
    return tuple(Person(crops[places], descriptors[places]) for places in _grouped(descriptors))


def known_person(
    photos: Sequence[Pixels],
    detector: FaceDetector,
    identity: IdentityNetwork,
    *,
    runtime: Runtime | None = None,
) -> Person:
    """Learn what one person looks like; arguments as of `known_people`.

    Raises:
        OutOfMemoryError: there is no room even for one picture.
        PictureError: no photo, a photo without a face, or photos of several people.
    """
    crops, descriptors = _described(photos, detector, identity, runtime or Runtime())
    people = sorted(_grouped(descriptors), key=len, reverse=True)
    if not people:
        raise PictureError("there is no photo of the person")
    others = sorted(place + 1 for places in people[1:] for place in places)
    if others:
        raise PictureError(
            f"the photos show several people: photo {', '.join(map(str, others))} is not of whom "
            "most show; leave it out, or take a clearer one"
        )
    return Person(crops, descriptors)


def _described(
    photos: Sequence[Pixels], detector: FaceDetector, identity: IdentityNetwork, runtime: Runtime
) -> tuple[Tensor, Tensor]:
    """(K, S, S, 3) crops of the photos' largest faces, and their (K, 128) descriptors."""
    frames = [frame for photo in photos for frame in as_images(photo)[..., :3]]
    part = SEARCH_SHARE / max(1, len(frames))
    crops = [
        reference_crop(frame, detector, place + 1, runtime.share(part * place, part * (place + 1)))
        for place, frame in enumerate(frames)
    ]
    stacked = torch.stack(crops) if crops else torch.zeros(0, CROP_SIZE, CROP_SIZE, 3)
    return stacked, describe_crops(stacked, identity, runtime=runtime.share(SEARCH_SHARE, 1))


def reference_crop(
    frame: Tensor, detector: FaceDetector, number: int, runtime: Runtime | None = None
) -> Tensor:
    """The aligned crop of a photo's largest face.

    Args:
        frame: (H, W, 3) in 0..1.
        detector: finds the faces.
        number: of the photo, for the error.
        runtime: where the detector runs.

    Returns:
        (S, S, 3) float32, S = `CROP_SIZE`.

    Raises:
        PictureError: there is no face.
    """
    faces = detector.detect(frame[None], runtime=runtime)
    largest = max(faces, key=_area, default=None)
    if largest is None:
        raise PictureError(
            f"no face was found in reference photo {number}: take one that shows the person from "
            "the front, or remove it"
        )
    alone = Faces(((largest,),), faces.height, faces.width)
    return crop_faces(frame[None], alone, CROP_SIZE)[0]


def _area(face: Face) -> float:
    return face.box.area


def _grouped(descriptors: Tensor) -> list[list[int]]:
    """Places of the photos of each person: each joins whom it is most like, or is somebody new."""
    people: list[list[int]] = []
    for place, descriptor in enumerate(descriptors):
        apart = [float((descriptors[known] - descriptor).norm(dim=1).mean()) for known in people]
        nearest = min(range(len(people)), key=apart.__getitem__, default=None)
        if nearest is None or apart[nearest] > SAME_PERSON:
            people.append([place])
        else:
            people[nearest].append(place)
    return people
