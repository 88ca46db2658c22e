"""Stage III: learn the controllable feature transformation (paper, section 3.3).

Image losses at fidelity 1 plus stage II's losses, so that the transformer stays as good at
fidelity 0. Generator and codebook stay frozen.
"""

from pathlib import Path

from torch.nn import functional as F

from ..networks import FaceCodes
from .config import RunConfig
from .data import Batch
from .perceptual import PerceptualDistance, perceptual_term
from .stage_two import CodePredictionStage
from .stages import StepResult
from .weights import load_weights


class FusionStage(CodePredictionStage):
    """Trains fusion, encoder and transformer of a CodeFormer."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        if config.start_from:
            load_weights(self.network, Path(config.start_from))
        self.network.fuse_convs_dict.requires_grad_(True)
        self.perceptual = PerceptualDistance() if config.losses.perceptual else None

    def forward(self, batch: Batch, step: int) -> StepResult:
        assert batch.degraded is not None
        weights, network = self.config.losses, self.network
        latents, features = network.encoder.with_features(
            batch.degraded, self.config.model.fusion_sizes
        )
        code_loss, logged, logits = self.code_losses(latents.float(), batch.clean)
        face_codes = FaceCodes(latents, logits, logits.argmax(2), features)
        pictures = network.decode(face_codes, fidelity=1.0).float()
        pixel = F.l1_loss(pictures, batch.clean)
        perceptual = perceptual_term(self.perceptual, pictures, batch.clean)
        reconstruction = weights.pixel * pixel + weights.perceptual * perceptual
        finest = str(max(self.config.model.fusion_sizes))
        last_layer = network.fuse_convs_dict[finest].shift[-1].weight
        adversarial = self.adversarial_term(pictures, reconstruction, last_layer, step)
        return StepResult(
            loss=reconstruction + code_loss + adversarial,
            logged={"L_1": pixel, "L_per": perceptual, **logged},
            pictures=pictures,
            adversarial=step >= self.config.adversarial_after,
        )
