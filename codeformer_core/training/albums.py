"""Descriptors of other photos of whom a face shows, for every face of a batch."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..degradation import BatchRandom
from ..errors import SettingError
from ..metrics import IdentityNetwork
from .augmentation import LOOK, Augmentation
from .sources import FaceSet, StoredPicture

LOOKS = Augmentation(warp=0.5, colour=0.2, eyelids=0.05, mouth=0.15)
"""What a reference photo may look like: it is another one than the face to restore."""
LOOKS_SEED = 2
"""Beside the run's: of the looks."""
DESCRIBED_AT_ONCE = 256


@dataclass(frozen=True)
class ReferenceSettings:
    """Of a run that trains the conditioning on reference photos beside a finished CodeFormer."""

    sides: tuple[int, ...] = ()
    """Sides of the generator's features that are conditioned; without any it is another run."""
    kept_apart: int = 5
    """People whose number this divides are validated on and never trained on."""
    several_share: float = 0.667
    """Share of faces whose people have several photos; the others' own looks are their photos."""
    strangers: float = 0.12
    """Share of faces that get somebody else's photos: what is told of a person may be wrong."""
    most_photos: int = 3
    """Photos of a face's person, of which the descriptors' mean is taken: one to so many."""
    looks: int = 2
    """Looks of each photo that are described."""
    start_from: str = ""
    """A conditioning to go on with; a fresh one if left out."""

    def __post_init__(self) -> None:
        """Refuse what no run can have.

        Raises:
            SettingError: a share outside 0..1, or a count below 1.
        """
        if not (0 <= self.strangers <= 1 and 0 <= self.several_share < 1):
            raise SettingError("references: strangers and several_share are shares, 0 to 1")
        if min(self.kept_apart, self.most_photos, self.looks) < 1:
            raise SettingError("references: kept_apart, most_photos and looks must be at least 1")


def split_people(
    pictures: Sequence[StoredPicture], settings: ReferenceSettings, size: int
) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Faces to train on, weighted, and those of the people kept apart who have several photos.

    Args:
        pictures: all there are; those smaller than `size` are left out.
        settings: of the run.
        size: of the model.
    """
    large = [picture for picture in pictures if picture.side >= size]

    def is_apart(picture: StoredPicture) -> bool:
        return bool(picture.person) and int(picture.person) % settings.kept_apart == 0

    held, _ = _with_several([picture for picture in large if is_apart(picture)])
    several, alone = _with_several([picture for picture in large if not is_apart(picture)])
    if several and alone:
        share = settings.several_share / (1 - settings.several_share)
        factor = share * sum(each.weight for each in alone) / sum(each.weight for each in several)
        several = [replace(each, weight=each.weight * factor) for each in several]
    return [*several, *alone], held


def _with_several(
    pictures: Sequence[StoredPicture],
) -> tuple[list[StoredPicture], list[StoredPicture]]:
    """Those of people with several photos, and the others."""
    counts: dict[str, int] = defaultdict(int)
    for picture in pictures:
        counts[picture.person] += bool(picture.person)
    return (
        [each for each in pictures if counts[each.person] > 1],
        [each for each in pictures if counts[each.person] < 2],
    )


class Album:
    """Descriptors of the photos of every face's person, on the device.

    Args:
        faces: aligned, of one size.
        settings: of the run.
        seed: of the looks.
        device: where faces are described and batches are made.
    """

    def __init__(
        self, faces: FaceSet, settings: ReferenceSettings, seed: int, device: torch.device
    ) -> None:
        self.settings = settings
        self.descriptors = _described(faces, settings.looks, seed, device)
        """(N, looks, 128)."""
        others = _others([picture.person for picture in faces.pictures])
        self.counts = torch.tensor([len(each) for each in others], device=device)
        """(N,) number of other photos; a face that has none is its own."""
        most = max(len(each) for each in others)
        rows = [np.resize(each, most) for each in others]
        self.others = torch.from_numpy(np.stack(rows)).to(device)
        """(N, most) which those are, repeated."""

    def draw(self, indices: np.ndarray, random: BatchRandom) -> Tensor:
        """Mean descriptors of photos of whom faces show, or of somebody else.

        Args:
            indices: (B,) of the faces.
            random: of the batch.

        Returns:
            (B, 128).
        """
        settings, device = self.settings, self.descriptors.device
        whom = torch.from_numpy(indices).to(device, non_blocking=True)
        is_stranger, stranger, photos = random.uniform(3).unbind(1)
        stranger = _chosen(stranger, len(self.descriptors))
        whom = torch.where(is_stranger < settings.strangers, stranger, whom)
        drawn, look = random.uniform(2, settings.most_photos).unbind(1)
        places = _chosen(drawn, self.counts[whom, None])
        shown = self.others[whom[:, None], places]
        each = self.descriptors[shown, _chosen(look, settings.looks)]  # (B, most_photos, 128)
        count = _chosen(photos, settings.most_photos)[:, None]
        counted = torch.arange(settings.most_photos, device=device) <= count
        weights = counted / counted.sum(1, keepdim=True)
        return (weights[..., None] * each).sum(1)


def _chosen(chance: Tensor, count: Tensor | int) -> Tensor:
    """A place below `count` for every number from 0 to 1."""
    return (chance * count).long()


def _others(people: Sequence[str]) -> list[list[int]]:
    """For each face the other faces of its person, or itself if there are none."""
    by_person: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        by_person[person].append(place)
    by_person.pop("", None)
    return [
        [other for other in by_person.get(person, []) if other != place] or [place]
        for place, person in enumerate(people)
    ]


@torch.no_grad()
def _described(faces: FaceSet, looks: int, seed: int, device: torch.device) -> Tensor:
    """(N, looks, 128) descriptors of so many looks of every face."""
    identity, parts = IdentityNetwork().to(device), []
    for start in range(0, len(faces), DESCRIBED_AT_ONCE):
        places = range(start, min(start + DESCRIBED_AT_ONCE, len(faces)))
        taken = faces.take(np.asarray(places), device)
        random = BatchRandom((seed, LOOKS_SEED, start), len(places), range(len(places)), device)
        numbers = random.uniform(looks, LOOK).unbind(1)
        each = [identity.embed(LOOKS.apply(taken, one).movedim(1, -1)) for one in numbers]
        parts.append(torch.stack(each, 1))
    return torch.cat(parts)
