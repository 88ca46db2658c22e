"""Frechet distance between two sets of pictures, by `torchmetrics`."""

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MissingModelError, SettingError
from ..images import to_network, to_uint8
from ..packages import needed_for
from .backbones import Features

INCEPTION_CHANNELS = 2048
SMALLEST_SET = 2


class FrechetDistance:
    """How far apart two sets of pictures are as distributions (Heusel et al. 2017).

    Its `name` says by which backbone: only Inception's is called FID.

    Args:
        backbone: inception (the published FID; downloads its weights through `torch-fidelity`),
            or one of `BACKBONES`: comparable among themselves only, but without any download.

    Raises:
        MissingModelError: a package or the weights cannot be had here.
        SettingError: no such backbone.
    """

    def __init__(self, backbone: str = "inception") -> None:
        self._metric = _metric(backbone)
        self.name = "FID" if backbone == "inception" else f"FD ({backbone})"
        self._seen = [0, 0]

    def add(self, pictures: Tensor, real: bool) -> None:
        """Add (B, H, W, 3) in 0..1 to the set of real or of restored pictures."""
        values = torch.from_numpy(to_uint8(pictures)).movedim(-1, 1)
        self._metric.update(values, real=real)
        self._seen[real] += len(pictures)

    def value(self) -> float:
        """The distance.

        Raises:
            SettingError: fewer than two pictures in a set.
        """
        if min(self._seen) < SMALLEST_SET:
            raise SettingError(f"{self.name} compares sets: add at least two pictures to each")
        return float(self._metric.compute())


def _metric(backbone: str) -> Any:
    with needed_for("a Frechet distance", "torchmetrics"):
        from torchmetrics.image.fid import FrechetInceptionDistance
    if backbone != "inception":
        return FrechetInceptionDistance(_Pooled(Features(backbone)))
    try:
        return FrechetInceptionDistance(INCEPTION_CHANNELS)
    except (ModuleNotFoundError, OSError) as error:
        raise MissingModelError(
            f"FID needs Inception's weights ({error}): pip install torch-fidelity, with a way to "
            "the network; or choose another backbone"
        ) from error


class _Pooled(nn.Module):
    """Means over all positions of the deepest feature map: (B, 3, H, W) uint8 to (B, C)."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features
        self.num_features = features(torch.zeros(1, 3, 64, 64))[-1].shape[1]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.features(to_network(pictures.movedim(1, -1) / 255))[-1].mean((2, 3))
