"""Which faces of a job are people whom the network knows."""

from collections import defaultdict
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..faces import Faces, crop_faces
from ..models.restorer import Restorer
from ..people import describe_crops
from ..people.matching import CROP_SIZE
from ..people.recogniser import Recogniser, Whom
from ..people.restorer import PeopleRestorer
from ..runtime import Runtime
from .settling import looks


@dataclass(frozen=True)
class Recognition:
    """Whom each face is restored as."""

    whom: tuple[Whom, ...] = ()
    """One a face; empty where the network knows nobody."""
    is_sure: bool = True
    """Whether likeness says so. If not, the only face was taken for the only reference person."""
    references: int = 0
    """How many people the reference photos show that are drawn."""
    adapters: int = 0
    """How many people have an adapter that is used by likeness."""


def recognise(network: Restorer, images: Tensor, faces: Faces, runtime: Runtime) -> Recognition:
    """Tell who the faces of pictures are; one that was followed through frames is one person.

    Args:
        network: knows people, or does not.
        images: (B, H, W, 3) in 0..1.
        faces: those of them that are restored.
        runtime: where the identity network runs.

    Raises:
        OutOfMemoryError: there is no room even for one face.
    """
    if not isinstance(network, PeopleRestorer):
        return Recognition()
    everybody = _everybody(faces)
    seen = [[places[look] for look in looks(len(places))] for places in everybody]
    described = sorted(place for places in seen for place in places)
    crops = crop_faces(images, faces.take(described), CROP_SIZE)
    found = describe_crops(crops, network.recogniser.identity, runtime=runtime)
    rows = [[described.index(place) for place in places] for places in seen]
    means = torch.stack([found[row].mean(0) for row in rows]) if rows else found
    recognition = recognised(means, network.recogniser)
    owners = {
        place: person
        for places, person in zip(everybody, recognition.whom, strict=True)
        for place in places
    }
    return replace(recognition, whom=tuple(owners[place] for place in range(faces.count)))


def recognise_crops(network: Restorer, crops: Tensor, runtime: Runtime) -> Recognition:
    """The same of (N, S, S, 3) aligned crops, each of them by itself."""
    if not isinstance(network, PeopleRestorer):
        return Recognition()
    found = describe_crops(crops, network.recogniser.identity, runtime=runtime)
    return recognised(found, network.recogniser)


def recognised(descriptors: Tensor, recogniser: Recogniser) -> Recognition:
    """Tell of everybody in a job who it is.

    Strong damage hides who somebody is. So who connects photos of one person and has one face
    restored is believed that they belong together, unless it surely is somebody with an adapter.

    Args:
        descriptors: (N, 128), one for everybody.
        recogniser: of the network.
    """
    whom = recogniser.recognise(descriptors)
    is_sure = len(recogniser.referred) != 1 or whom != (Whom(),)
    whom = whom if is_sure else (Whom(reference=1),)
    return Recognition(whom, is_sure, len(recogniser.referred), len(recogniser.adapted))


def _everybody(faces: Faces) -> list[list[int]]:
    """Places of the faces of each person; of one that was not followed, that of itself alone."""
    by_track: dict[object, list[int]] = defaultdict(list)
    for place, face in enumerate(faces):
        by_track[("alone", place) if face.track is None else face.track].append(place)
    return list(by_track.values())
