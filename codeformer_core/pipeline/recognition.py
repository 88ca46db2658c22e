"""Which faces of a job are people that the network knows from reference photos."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..faces import Faces, crop_faces
from ..models.restorer import Restorer
from ..people import Person, describe_crops
from ..people.matching import CROP_SIZE, known_faces
from ..people.reference_restorer import ReferenceRestorer
from ..runtime import Runtime
from .settling import looks


@dataclass(frozen=True)
class Recognition:
    """Whom each face is restored as."""

    whom: tuple[int, ...] = ()
    """The number of each face's reference person, from 1; 0 is nobody. Empty where the network
    knows no references."""
    is_sure: bool = True
    """Whether likeness says so. If not, the only face was taken for the only reference person."""
    several: bool = False
    """Whether the references show several people."""


def recognise(network: Restorer, images: Tensor, faces: Faces, runtime: Runtime) -> Recognition:
    """Tell who the faces of pictures are; one that was followed through frames is one person.

    Args:
        network: knows references, or does not.
        images: (B, H, W, 3) in 0..1.
        faces: those of them that are restored.
        runtime: where the identity network runs.

    Raises:
        OutOfMemoryError: there is no room even for one face.
    """
    if not isinstance(network, ReferenceRestorer):
        return Recognition()
    everybody = _everybody(faces)
    seen = [[places[look] for look in looks(len(places))] for places in everybody]
    described = sorted(place for places in seen for place in places)
    crops = crop_faces(images, faces.take(described), CROP_SIZE)
    found = describe_crops(crops, network.references.identity, runtime=runtime)
    rows = [[described.index(place) for place in places] for places in seen]
    means = torch.stack([found[row].mean(0) for row in rows]) if rows else found
    recognition = recognised(means, network.references.people)
    owners = {
        place: person
        for places, person in zip(everybody, recognition.whom, strict=True)
        for place in places
    }
    return replace(recognition, whom=tuple(owners[place] for place in range(faces.count)))


def recognise_crops(network: Restorer, crops: Tensor, runtime: Runtime) -> Recognition:
    """The same of (N, S, S, 3) aligned crops, each of them by itself."""
    if not isinstance(network, ReferenceRestorer):
        return Recognition()
    found = describe_crops(crops, network.references.identity, runtime=runtime)
    return recognised(found, network.references.people)


def recognised(descriptors: Tensor, people: Sequence[Person]) -> Recognition:
    """Tell of everybody in a job whether it is one of the reference people.

    Strong damage hides who somebody is. So who connects photos of one person and has one face
    restored is believed that they belong together.

    Args:
        descriptors: (N, 128), one for everybody.
        people: known from references, at least one.
    """
    whom, several = known_faces(descriptors, people), len(people) > 1
    if len(whom) == 1 and not several and not any(whom):
        return Recognition((1,), is_sure=False)
    return Recognition(whom, several=several)


def _everybody(faces: Faces) -> list[list[int]]:
    """Places of the faces of each person; of one that was not followed, that of itself alone."""
    by_track: dict[object, list[int]] = defaultdict(list)
    for place, face in enumerate(faces):
        by_track[("alone", place) if face.track is None else face.track].append(place)
    return list(by_track.values())
