"""Perceptual distance: how differently a network trained on ImageNet sees two pictures."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import SettingError
from ..images import to_network
from .backbones import Features

TRAINING_BACKBONE = "mobilenet_v2"
"""What L_per trains against."""
EVALUATION_BACKBONE = "efficientnet_lite0"
"""What nothing is trained against, so that it can judge."""
BYTES_PER_PIXEL = 1000.0
"""Of a pair of pictures, in activations."""


class PerceptualDistance(nn.Module):
    """Mean squared distance of unit-length features, over positions and then over four depths.

    LPIPS (R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric", 2018, eq. 1) with all channels weighted alike.

    Args:
        backbone: mobilenet_v2 or efficientnet_lite0.
        weights: its weight file; looked for in the installed package if left out.

    Raises:
        MissingModelError: the package with the weights is not installed.
        SettingError: no such backbone.
    """

    def __init__(self, backbone: str = TRAINING_BACKBONE, weights: Path | None = None) -> None:
        super().__init__()
        self.features = Features(backbone, weights)

    def forward(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """Distance of every pair; gradients reach `pictures` only.

        Args:
            pictures: (B, 3, S, S) in -1..1.
            targets: the same shape.

        Returns:
            (B,) float32, 0 for equal pictures.
        """
        with torch.no_grad():
            wanted = self.features(targets)
        differences = [
            (F.normalize(got.float(), dim=1) - F.normalize(want.float(), dim=1))
            .square()
            .sum(1)
            .mean((1, 2))
            for got, want in zip(self.features(pictures), wanted, strict=True)
        ]
        return torch.stack(differences).mean(0)

    def bytes_per_pair(self, height: int, width: int) -> float:
        """Memory that the activations of both pictures take, at all depths."""
        return BYTES_PER_PIXEL * height * width

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of pictures: two (B, H, W, 3) in 0..1 to (B,).

        Raises:
            SettingError: shapes that differ or are no batches.
        """
        if first.shape != second.shape or first.ndim != 4:
            raise SettingError(
                f"two batches (B, H, W, 3) of one shape are compared, got {tuple(first.shape)} "
                f"and {tuple(second.shape)}"
            )
        with torch.no_grad():
            return self(to_network(first), to_network(second))
