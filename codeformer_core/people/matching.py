"""Which of the known people a face is, and how sure that is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..faces import Faces, crop_faces
from ..metrics import IdentityNetwork
from ..networks.identity import CHIP_SIZE
from ..runtime import Runtime
from .descriptors import describe_crops
from .references import Person

CROP_SIZE = 2 * CHIP_SIZE
"""Side of the crops that are described: the network sees two thirds of them at its own size."""

DEFAULT_SURENESS = 0.8
"""From here on a face counts as the person it is most like."""
EVEN, STEEPNESS = 0.677, 23.2
"""Distance at which a face is as likely the person as somebody else, and by how much the logarithm
of the odds falls with it. Fitted to 339 photos of 150 people of the training faces: clean ones
against clean, mildly and strongly degraded ones. Of the same person's pairs 78% are above
`DEFAULT_SURENESS`, of two people's 1.5%; people who look alike are confused more often."""


@dataclass(frozen=True)
class Match:
    """What a face's descriptor says of who it is."""

    person: int
    """Number of the known person it is most like, from 1."""
    distance: float
    """Mean distance to the descriptors of that person's photos."""
    sureness: float
    """Probability, 0 to 1, that it is this person, if somebody unknown is as likely beforehand."""


def match_people(descriptors: Tensor, people: Sequence[Person]) -> tuple[Match, ...]:
    """Tell for every face whom it shows.

    Args:
        descriptors: (N, 128) of the faces.
        people: at least one known person.

    Returns:
        One match a face: the odds of each person against an unknown one, made to probabilities.
    """
    distances = torch.stack([person.distances(descriptors) for person in people], 1)  # (N, P)
    odds = STEEPNESS * (EVEN - distances)
    unknown = odds.new_zeros(len(odds), 1)
    sureness = torch.cat([unknown, odds], 1).softmax(1)[:, 1:]
    nearest = distances.argmin(1)
    return tuple(
        Match(place + 1, float(row[place]), float(sure[place]))
        for place, row, sure in zip(nearest.tolist(), distances, sureness, strict=True)
    )


def known_faces(
    descriptors: Tensor, people: Sequence[Person], least_sureness: float = DEFAULT_SURENESS
) -> tuple[int, ...]:
    """For each of (N, 128) descriptors the number of the person it surely is, from 1, or 0."""
    if not people:
        return (0,) * len(descriptors)
    matches = match_people(descriptors, people)
    return tuple(each.person if each.sureness >= least_sureness else 0 for each in matches)


def places_of(
    matches: Iterable[Match], person: int = 0, least_sureness: float = DEFAULT_SURENESS
) -> set[int]:
    """Places, from 0, of the faces that are a person.

    Args:
        matches: of all faces.
        person: number of the person; 0 is anybody known.
        least_sureness: faces less sure than this count as somebody else.
    """
    return {
        place
        for place, match in enumerate(matches)
        if match.sureness >= least_sureness and person in (0, match.person)
    }


def match_faces(
    images: Tensor,
    faces: Faces,
    people: Sequence[Person],
    identity: IdentityNetwork,
    *,
    runtime: Runtime | None = None,
) -> tuple[Match, ...]:
    """Tell for every face of pictures whom it shows.

    Args:
        images: (B, H, W, 3) RGB in 0..1.
        faces: the faces of these pictures.
        people: at least one known person.
        identity: the network that tells people apart.
        runtime: where it runs and progress goes, counted in faces.

    Raises:
        OutOfMemoryError: there is no room even for one face.
        PictureError: the pictures do not belong to these faces.
    """
    crops = crop_faces(images, faces, CROP_SIZE)
    return match_people(describe_crops(crops, identity, runtime=runtime), people)
