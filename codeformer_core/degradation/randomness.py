"""Random numbers for whole batches."""

import numpy as np
import torch
from torch import Tensor


class BatchRandom:
    """Random numbers of a batch, drawn on the device in one go.

    They are drawn for the whole batch and then cut down to the places asked for: parts of a batch,
    in this process or in another, get the numbers that the whole would have got.

    Args:
        seed: of everything that follows.
        size: pictures of the whole batch.
        places: which of them are wanted.
        device: where the numbers are drawn; another kind of device draws others.
    """

    def __init__(
        self, seed: tuple[int, ...], size: int, places: range, device: torch.device
    ) -> None:
        self.size, self.places = size, slice(places.start, places.stop)
        self.device = device
        mixed = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
        self.generator = torch.Generator(device)
        self.generator.manual_seed(mixed >> 1)

    def uniform(self, *shape: int) -> Tensor:
        """(P, *shape) numbers from 0 to 1, for P places."""
        numbers = torch.rand(self.size, *shape, generator=self.generator, device=self.device)
        return numbers[self.places]

    def normal(self, *shape: int) -> Tensor:
        """(P, *shape) standard normal numbers, for P places."""
        numbers = torch.randn(self.size, *shape, generator=self.generator, device=self.device)
        return numbers[self.places]
