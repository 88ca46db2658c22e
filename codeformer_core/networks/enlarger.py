"""The network that makes pictures twice as large.

Convolutions on a folded picture and one sub-pixel step back (Shi et al. 2016, "Real-Time Single
Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network"), with
residual blocks between them (Lim et al. 2017, "Enhanced Deep Residual Networks for Single Image
Super-Resolution"). It draws only what bicubic interpolation misses.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 2
"""How many times larger its pictures are."""
FOLD = 2
"""Side of the squares whose pixels become channels: a quarter of the work, twice the reach."""


@dataclass(frozen=True)
class EnlargerConfig:
    """Sizes of the network; both are visible in its weights."""

    channels: int = 48
    """Of the folded picture within the network."""
    blocks: int = 6
    """Residual blocks of two 3x3 convolutions."""


class Enlarger(nn.Module):
    """(B, 3, H, W) RGB in 0..1, H and W even, to (B, 3, 2H, 2W): what bicubic misses of it."""

    def __init__(self, config: EnlargerConfig, operations: Any = nn) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.head = operations.Conv2d(3 * FOLD**2, width, 3, padding=1)
        self.body = nn.Sequential(*(_Block(width, operations) for _ in range(config.blocks)))
        self.tail = operations.Conv2d(width, 3 * (FOLD * SCALE) ** 2, 3, padding=1)

    @property
    def reach(self) -> int:
        """Pixels of the input around one of its pixels that can change what is drawn there."""
        return FOLD * (2 * self.config.blocks + 2) + FOLD

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.head(F.pixel_unshuffle(pictures, FOLD))
        return F.pixel_shuffle(self.tail(features + self.body(features)), FOLD * SCALE)


class _Block(nn.Module):
    def __init__(self, width: int, operations: Any) -> None:
        super().__init__()
        self.first = operations.Conv2d(width, width, 3, padding=1)
        self.second = operations.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(features)))
