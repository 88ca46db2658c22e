"""Reproducible batches of faces.

Each picture of a batch is a pure function of (seed, step, place in the batch): a run that resumes
at a step sees what it would have seen without the break, and two processes that share a batch make
the very pictures that one would have made.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..degradation import (
    STAGE_THREE_MILD,
    STAGE_TWO,
    Degradation,
    DegradationRange,
    degrade_batch,
    degrade_pixels,
)
from ..images import to_network
from .augmentation import Augmentation

REFERENCE_SIZE = 512
"""Side of the faces for which the published degradation ranges are meant."""
FRESH = -1
"""Key of a variant that will not come back."""


class Faces(Protocol):
    """Aligned faces of one size: a `FaceSet`, or an array (N, S, S, 3)."""

    def __len__(self) -> int:
        """Number of faces."""
        ...

    def __getitem__(self, index: int, /) -> np.ndarray:
        """(S, S, 3) uint8 RGB."""
        ...


@dataclass(frozen=True)
class Batch:
    """Clean faces and, where the stage wants them, the degraded ones; (B, 3, S, S) in -1..1."""

    clean: Tensor
    degraded: Tensor | None = None
    keys: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    """(B,) numbers of the clean variants, the same whenever a variant comes back; or FRESH."""
    recipe: tuple[Degradation, ...] = ()
    """How to degrade the clean faces on the device, where that has not been done yet."""
    seeds: tuple[int, ...] = ()
    """Of the recipe's noise."""

    def on(self, device: torch.device) -> "Batch":
        """The batch on a device, degraded there if it has a recipe."""
        clean = self.clean.to(device, non_blocking=True)
        degraded = None if self.degraded is None else self.degraded.to(device, non_blocking=True)
        if self.recipe:
            images = clean.movedim(1, -1) * 0.5 + 0.5
            degraded = to_network(degrade_batch(images, self.recipe, self.seeds))
        if degraded is not None:
            degraded = _channels_last(degraded)
        return Batch(_channels_last(clean), degraded, self.keys.to(device))


def _channels_last(pictures: Tensor) -> Tensor:
    return pictures.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class FaceBatches:
    """Batches by step.

    Args:
        faces: at the model's size.
        size: pictures of a batch, over all processes.
        seed: of everything random.
        strong, mild: degradation ranges for 512 px faces, scaled to S here.
        mild_share: probability of the mild one.
        degrade: False leaves the degraded pictures out (stage I).
        on_device: leave the degradation to `Batch.on`.
    """

    faces: Faces
    size: int
    seed: int = 0
    strong: DegradationRange = STAGE_TWO
    mild: DegradationRange = STAGE_THREE_MILD
    mild_share: float = 0.0
    degrade: bool = True
    on_device: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def variants(self) -> int:
        """Number of different clean pictures; 0 if every one is new."""
        return len(self.faces) * self.augmentation.variants

    def at(self, step: int, places: range | None = None) -> Batch:
        """The batch of a step, or the given places of it."""
        places = range(self.size) if places is None else places
        samples = [self._sample(step, place) for place in places]
        clean = _stack([sample.clean for sample in samples])
        batch = Batch(clean, keys=torch.tensor([sample.key for sample in samples]))
        if not self.degrade:
            return batch
        if self.on_device:
            seeds = tuple(int(sample.random.integers(2**31)) for sample in samples)
            return replace(batch, recipe=tuple(each.recipe for each in samples), seeds=seeds)
        degraded = [degrade_pixels(each.clean, each.recipe, each.random) for each in samples]
        return replace(batch, degraded=_stack(degraded))

    def _sample(self, step: int, place: int) -> "_Sample":
        random = np.random.default_rng((self.seed, step, place))
        # Every face once an epoch, in an order of its own each epoch.
        epoch, number = divmod(step * self.size + place, len(self.faces))
        index = int(_order(self.seed, epoch, len(self.faces))[number])
        variants = self.augmentation.variants
        variant = int(random.integers(variants)) if variants else 0
        look = np.random.default_rng((self.seed, index, variant)) if variants else random
        clean = self.augmentation.apply(self.faces[index], look)
        ranges = self.mild if random.random() < self.mild_share else self.strong
        recipe = ranges.scaled(clean.shape[0] / REFERENCE_SIZE).draw(random)
        key = index * variants + variant if variants else FRESH
        return _Sample(clean, recipe, key, random)

    def ahead(self, steps: range, parts: Sequence[range], workers: int) -> Iterator[list[Batch]]:
        """Batches of some steps, made by threads while earlier ones are trained on.

        Args:
            steps: which.
            parts: places of the micro-batches of each step.
            workers: threads; at least one.

        Yields:
            The micro-batches of a step.
        """
        todo = ((step, part) for step in steps for part in parts)
        with ThreadPoolExecutor(max(1, workers)) as pool:
            making: deque[Future[Batch]] = deque()
            try:
                for _ in steps:
                    room = len(parts) * (max(1, workers) + 1) - len(making)
                    making.extend(pool.submit(self.at, *each) for each in islice(todo, room))
                    yield [making.popleft().result() for _ in parts]
            finally:
                for each in making:
                    each.cancel()


@dataclass(frozen=True)
class _Sample:
    clean: np.ndarray
    recipe: Degradation
    key: int
    random: np.random.Generator


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _stack(faces: list[np.ndarray]) -> Tensor:
    """A list of (S, S, 3) in 0..1 to (B, 3, S, S) in -1..1, channels last in memory."""
    return to_network(torch.from_numpy(np.stack(faces)))
