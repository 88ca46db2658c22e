"""Which people of a video are those whom the network knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..people.restorer import PeopleRestorer
from ..pipeline.recognition import Recognition, recognised
from .people import number_people
from .survey import Survey


def recognise_people(survey: Survey, network: Restorer, people: Sequence[int]) -> Recognition:
    """Tell who the people of a video are, each the same in all frames.

    Args:
        survey: what its first pass found; who was not described in it is nobody.
        network: knows people, or does not.
        people: numbers of those who are restored, from 1; empty takes all.

    Returns:
        For everybody in the order of their numbers whom they are restored as.
    """
    numbers = number_people(survey.tracks)
    if not (isinstance(network, PeopleRestorer) and numbers):
        return Recognition()
    described: dict[int, list[np.ndarray]] = defaultdict(list)
    for track, number in zip(survey.tracks, numbers, strict=True):
        if track.descriptor is not None and (not people or number in people):
            described[number].append(track.descriptor)
    if not described:
        known = network.recogniser
        nobody = (Whom(),) * max(numbers)
        return Recognition(nobody, references=len(known.referred), adapters=len(known.adapted))
    means = torch.from_numpy(np.stack([np.mean(each, 0) for each in described.values()]))
    found = recognised(means.float(), network.recogniser)
    whom = dict(zip(described, found.whom, strict=True))
    everybody = range(1, max(numbers) + 1)
    return replace(found, whom=tuple(whom.get(number, Whom()) for number in everybody))
