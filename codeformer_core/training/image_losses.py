"""What is said of pictures: by pixel, to the eye, of eyes and mouth, of colours, as a person."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ..metrics import TRAINING_BACKBONE, IdentityNetwork, PerceptualDistance
from .colour_loss import colour_loss
from .components import component_crops, iris_colours
from .config import RunConfig


class ImageLosses(nn.Module):
    """The image losses of stages I and III, weighted and added up.

    L_1 + L_per as published; beside them, where they have a weight, both once more on the crops of
    eyes and mouth, the low-passed colours, those of the irises, and the distance of the faces'
    identities.
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.weights = config.losses
        weights = Path(config.backbones, f"{TRAINING_BACKBONE}.safetensors")
        found = weights if config.backbones else None
        self.perceptual = PerceptualDistance(weights=found) if self.weights.perceptual else None
        self.identity = IdentityNetwork() if self.weights.identity else None

    def forward(
        self, pictures: Tensor, targets: Tensor, perceptual_share: Tensor | float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and single losses by name.

        Args:
            pictures: (B, 3, S, S) float32 in -1..1.
            targets: the same shape.
            perceptual_share: how much of the weight of L_per counts; one number, or (B,).
        """
        weights = self.weights
        pixel = F.l1_loss(pictures, targets)
        loss, logged = weights.pixel * pixel, {"L_1": pixel}
        if self.perceptual is not None:
            distances = self.perceptual(pictures, targets)
            loss = loss + weights.perceptual * (perceptual_share * distances).mean()
            logged["L_per"] = distances.mean()
        if weights.components:
            parts = self._of_components(pictures, targets)
            loss, logged["L_parts"] = loss + weights.components * parts, parts
        if weights.colour:
            colour = colour_loss(pictures, targets)
            loss, logged["L_colour"] = loss + weights.colour * colour, colour
        if weights.iris:
            iris = colour_loss(iris_colours(pictures), iris_colours(targets))
            loss, logged["L_iris"] = loss + weights.iris * iris, iris
        if self.identity is not None:
            distance = self._of_identities(self.identity, pictures, targets)
            loss, logged["L_id"] = loss + weights.identity * distance, distance
        return loss, logged

    def _of_components(self, pictures: Tensor, targets: Tensor) -> Tensor:
        """L_1, L_per and the colours of eyes and mouth, by their own weights."""
        pictures, targets = component_crops(pictures), component_crops(targets)
        loss = self.weights.pixel * F.l1_loss(pictures, targets)
        if self.perceptual is not None:
            loss = loss + self.weights.perceptual * self.perceptual(pictures, targets).mean()
        return loss + self.weights.colour * colour_loss(pictures, targets)

    @staticmethod
    def _of_identities(network: Any, pictures: Tensor, targets: Tensor) -> Tensor:
        """Mean squared distance of the descriptors: 0.36 is where people begin to differ."""
        ours, theirs = (
            network.embed((each * 0.5 + 0.5).movedim(1, -1)) for each in (pictures, targets)
        )
        return (ours.float() - theirs.detach().float()).square().sum(1).mean()
