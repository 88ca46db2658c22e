"""Reproducible batches of faces, made where the network is.

A batch is a handful of operations on tensors, whatever its size: faces lie decoded on the device,
and what happens to them is a pure function of (seed, step, place in the batch). So a run that
resumes at a step sees what it would have seen without the break, and two processes that share a
batch make the very pictures that one would have made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..degradation import (
    STAGE_THREE_MILD,
    STAGE_TWO,
    BatchRandom,
    DegradationMix,
    DegradationRange,
    degrade_batch,
)
from .albums import Album
from .augmentation import LOOK, Augmentation
from .warps import COARSE, melted

REFERENCE_SIZE = 512
"""Side of the faces for which the published degradation ranges are meant."""
CHANCES = 2
"""Random numbers a face that a stage may use."""
LOOKS_SEED = 1
"""Beside the run's: of the looks of fixed variants."""


class Faces(Protocol):
    """Aligned faces of one size: a `FaceSet`."""

    @property
    def size(self) -> int:
        """Their side."""
        ...

    @property
    def weights(self) -> Sequence[float]:
        """How often each comes in an epoch."""
        ...

    def take(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Some of them on a device: (B, S, S, 3) uint8 RGB."""
        ...

    def expect(self, indices: np.ndarray) -> None:
        """Prepare to give some of them next."""
        ...


@dataclass(frozen=True)
class Batch:
    """Clean faces and, where the stage wants them, the degraded ones; (B, 3, S, S) in -1..1."""

    clean: Tensor
    degraded: Tensor | None = None
    keys: np.ndarray | None = None
    """(B,) numbers of the clean variants, the same whenever a variant comes back; None if none
    ever does. They stay on the host, where it is known which codes have been computed."""
    chances: Tensor = field(default_factory=lambda: torch.empty(0, CHANCES))
    """(B, CHANCES) random numbers, 0 to 1, for what a stage draws for each face."""
    references: Tensor | None = None
    """(B, 128) mean descriptors of reference photos, where the stage wants them."""


@dataclass(frozen=True)
class Mixture:
    """How a run's faces are degraded."""

    strong: DegradationRange = STAGE_TWO
    """Ranges for 512 px faces."""
    mild: DegradationRange = STAGE_THREE_MILD
    """Ranges for 512 px faces."""
    mild_share: float = 0.0
    """Of the faces are drawn from `mild`."""
    clean_share: float = 0.0
    """Of the faces stay as they are."""

    def scaled(self, size: int) -> DegradationMix:
        """For faces of a size; ranges that are never drawn from cost nothing."""
        factor = size / REFERENCE_SIZE
        shares = {
            self.strong.scaled(factor): 1 - self.mild_share - self.clean_share,
            self.mild.scaled(factor): self.mild_share,
            DegradationRange.none(): self.clean_share,
        }
        used = {ranges: share for ranges, share in shares.items() if share > 0}
        return DegradationMix(tuple(used), tuple(used.values()))


@dataclass
class FaceBatches:
    """Batches by step.

    Args:
        faces: at the model's size.
        size: pictures of a batch, over all processes.
        device: where they are made.
        seed: of everything random.
        mixture: how they are degraded; None leaves the degraded pictures out (stage I).
        augmentation: what happens to clean and degraded pictures alike.
        album: of the same faces; None leaves the references out.
    """

    faces: Faces
    size: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    mixture: Mixture | None = field(default_factory=Mixture)
    augmentation: Augmentation = field(default_factory=Augmentation)
    album: Album | None = None

    @property
    def variants(self) -> int:
        """Number of different clean pictures; 0 if every one is new."""
        return len(self.faces.weights) * self.augmentation.variants

    def at(self, step: int, places: range | None = None) -> Batch:
        """The batch of a step, or the given places of it."""
        places = range(self.size) if places is None else places
        indices = self._order.at(step * self.size + np.asarray(places))
        faces = self.faces.take(indices, self.device)
        self.faces.expect(self._order.at((step + 1) * self.size + np.asarray(places)))
        random = BatchRandom((self.seed, step), self.size, places, self.device)
        keys = self._keys(indices, step, places)
        looks = random.uniform(LOOK) if keys is None else self._looks[self._sent(keys)]
        clean = self.augmentation.apply(faces, looks)
        degraded = None if self._mix is None else _as_input(self._degraded(clean, random))
        chances = random.uniform(CHANCES)
        references = None if self.album is None else self.album.draw(indices, random)
        return Batch(_as_input(clean), degraded, keys, chances, references)

    def _degraded(self, clean: Tensor, random: BatchRandom) -> Tensor:
        assert self._mix is not None
        if self.augmentation.melt:
            chance, strength = random.uniform(2).unbind(1)
            strength = strength * (chance < self.augmentation.melt)
            clean = melted(clean, strength, random.normal(2, COARSE, COARSE))
        return degrade_batch(clean, self._mix.draw(random), self._mix.limits, random)

    def _keys(self, indices: np.ndarray, step: int, places: range) -> np.ndarray | None:
        """Numbers of the variants of a step, where there are fixed ones."""
        variants = self.augmentation.variants
        if not variants:
            return None
        drawn = np.random.default_rng((self.seed, step)).integers(variants, size=self.size)
        return indices * variants + drawn[places.start : places.stop]

    def _sent(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self.device, non_blocking=True)

    @cached_property
    def _order(self) -> "FaceOrder":
        return FaceOrder(self.faces.weights, self.seed)

    @cached_property
    def _mix(self) -> DegradationMix | None:
        return None if self.mixture is None else self.mixture.scaled(self.faces.size)

    @cached_property
    def _looks(self) -> Tensor:
        """(variants, LOOK): what each fixed variant looks like."""
        every = range(self.variants)
        return BatchRandom((self.seed, LOOKS_SEED), len(every), every, self.device).uniform(LOOK)


class FaceOrder:
    """Which face comes when: each as often in an epoch as its weight says, in a new order.

    Args:
        weights: 1 is once an epoch, a half every other epoch.
        seed: of the orders.
    """

    def __init__(self, weights: Sequence[float], seed: int) -> None:
        self.weights, self.seed = np.asarray(weights, np.float64), seed
        self.length = max(1, round(float(self.weights.sum())))
        self._epochs: dict[int, np.ndarray] = {}

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """Indices of the faces that come as number so and so since the run's beginning."""
        epochs, places = np.divmod(numbers, self.length)
        if len(self._epochs) > 4:
            self._epochs.clear()
        for epoch in set(epochs.tolist()) - set(self._epochs):
            self._epochs[epoch] = self._shuffled(epoch)
        return np.array([self._epochs[e][p] for e, p in zip(epochs, places, strict=True)])

    def _shuffled(self, epoch: int) -> np.ndarray:
        """A systematic sample: each face floor(weight) or ceil(weight) times, never far off."""
        random = np.random.default_rng((self.seed, epoch))
        shuffled = random.permutation(len(self.weights))
        ends = np.cumsum(self.weights[shuffled])
        points = (np.arange(self.length) + random.random()) * (ends[-1] / self.length)
        chosen = np.searchsorted(ends, points, side="right").clip(max=len(ends) - 1)
        return random.permutation(shuffled[chosen])


def _as_input(planes: Tensor) -> Tensor:
    """(B, 3, S, S) in 0..1 to -1..1, channels last in memory, as the networks want it."""
    return (planes * 2 - 1).contiguous(memory_format=torch.channels_last)
