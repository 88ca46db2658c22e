"""Automatic fidelity in a video: one for each person, or it would change from frame to frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ..faces import crop_face
from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..pipeline.automatic import Automatic
from ..pipeline.settling import looks, settled_fidelity
from ..runtime import Runtime
from .information import VideoInformation
from .people import number_people
from .reading import frame_at
from .survey import Survey, displayed
from .tracks import Track


def choose_fidelities(
    information: VideoInformation,
    survey: Survey,
    network: Restorer,
    automatic: Automatic,
    people: Sequence[int],
    whom: Mapping[int, Whom],
    runtime: Runtime,
) -> dict[int, float]:
    """Look now and then at everybody who is restored.

    Args:
        information: the video.
        survey: what its first pass found.
        network: restores aligned faces.
        automatic: what chooses.
        people: numbers of those who are restored, from 1; empty takes all.
        whom: as whom each is restored; empty where the network knows nobody.
        runtime: where networks run, and where progress goes.

    Returns:
        A fidelity for each of their numbers; nobody is in it of whom no frame can be read again.
    """
    chosen: dict[int, float] = {}
    everybody = _seen(survey, people)
    for place, (person, seen) in enumerate(everybody.items()):
        some = [seen[look] for look in looks(len(seen))]
        crops = list(_crops(information, survey, some, network.size))
        share = runtime.share(place / len(everybody), (place + 1) / len(everybody))
        if crops:
            chosen[person] = settled_fidelity(
                network, automatic, torch.stack(crops), whom=whom.get(person), runtime=share
            )
    return chosen


def _seen(survey: Survey, people: Sequence[int]) -> dict[int, list[tuple[Track, int]]]:
    """For each of these people, or all, the frames in which the detector found the face."""
    seen: dict[int, list[tuple[Track, int]]] = defaultdict(list)
    for track, person in zip(survey.tracks, number_people(survey.tracks), strict=True):
        if not people or person in people:
            found = track.start + track.scores.nonzero()[0]
            seen[person] += [(track, index) for index in found.tolist()]
    return seen


def _crops(
    information: VideoInformation, survey: Survey, seen: Sequence[tuple[Track, int]], size: int
) -> Iterator[Tensor]:
    for track, index in seen:
        face = track.face(index, 0, survey.height, survey.width)
        picture = frame_at(information, survey.times.starts[index])
        if face is not None and picture is not None:
            whole = displayed(picture, information, survey.height, survey.width)
            yield crop_face(whole, face.placement.rescaled(size))
