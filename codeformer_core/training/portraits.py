"""A few faces held as tensors, and other people made of them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .warps import COARSE, identity_grid, sample

LARGEST_BEND = 0.12
"""Deviation of the displacements that make somebody else of a face, in half sides."""


class Portraits:
    """Faces as `FaceBatches` wants them.

    Args:
        pictures: (K, S, S, 3) in 0..1.
    """

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = (255 * pictures.clamp(0, 1)).round().to(torch.uint8)

    @property
    def size(self) -> int:
        """Their side."""
        return self.pictures.shape[1]

    @property
    def weights(self) -> Sequence[float]:
        """Each comes once an epoch."""
        return [1.0] * len(self.pictures)

    def take(self, indices: np.ndarray, device: torch.device) -> Tensor:
        """Some of them on a device: (B, S, S, 3) uint8."""
        return self.pictures[torch.from_numpy(indices)].to(device)

    def expect(self, indices: np.ndarray) -> None:
        """They are there already."""


def bent(planes: Tensor, chances: Tensor) -> Tensor:
    """Other people: faces whose features are moved and stretched until they are somebody else's.

    Args:
        planes: (B, C, S, S).
        chances: (B, N) numbers in 0..1 that say how.
    """
    fields = []
    for seed in (chances[:, 0] * 2**31).long().tolist():
        drawn = torch.Generator().manual_seed(seed)
        fields.append(torch.randn(2, COARSE, COARSE, generator=drawn))
    size = planes.shape[-1]
    field = F.interpolate(torch.stack(fields), (size, size), mode="bicubic", align_corners=False)
    moved = LARGEST_BEND * field.movedim(1, -1).to(planes)
    return sample(planes, identity_grid(size, planes.device) + moved)
