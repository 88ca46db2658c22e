"""Automatic fidelity in a video: one for each person, or it would change from frame to frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..faces import Face, crop_face
from ..models.restorer import Restorer
from ..pipeline.automatic import Automatic
from ..pipeline.settling import looks, settled_fidelity
from ..runtime import Runtime
from .information import VideoInformation
from .people import number_people
from .reading import frame_at
from .survey import Survey, displayed


def choose_fidelities(
    information: VideoInformation,
    survey: Survey,
    network: Restorer,
    automatic: Automatic,
    runtime: Runtime,
) -> dict[int, float]:
    """Look at everybody now and then.

    Args:
        information: the video.
        survey: what its first pass found.
        network: restores aligned faces.
        automatic: what chooses.
        runtime: where networks run.

    Returns:
        A fidelity for every person's number; nobody is in it of whom no frame can be read again.
    """
    chosen: dict[int, float] = {}
    for person, seen in _seen(survey).items():
        some = [seen[place] for place in looks(len(seen))]
        crops = list(_crops(information, survey, some, network.size))
        if crops:
            chosen[person] = settled_fidelity(
                network, automatic, torch.stack(crops), runtime=runtime
            )
    return chosen


def _seen(survey: Survey) -> dict[int, list[tuple[int, Face]]]:
    """For every person the frames in which the detector found the face."""
    seen: dict[int, list[tuple[int, Face]]] = defaultdict(list)
    for track, person in zip(survey.tracks, number_people(survey.tracks), strict=True):
        for index in (track.start + track.scores.nonzero()[0]).tolist():
            face = track.face(index, person, survey.height, survey.width)
            if face is not None:
                seen[person].append((index, face))
    return seen


def _crops(
    information: VideoInformation, survey: Survey, seen: Sequence[tuple[int, Face]], size: int
) -> Iterator[Tensor]:
    for index, face in seen:
        picture = frame_at(information, survey.times.starts[index])
        if picture is not None:
            whole = displayed(picture, information, survey.height, survey.width)
            yield crop_face(whole, face.placement.rescaled(size))
