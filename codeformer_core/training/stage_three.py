"""Stage III: learn the controllable feature transformation (paper, section 3.3).

    F_hat_d = F_d + (alpha * F_d + beta) * w,   alpha, beta = P_theta(concat(F_d, F_e))
    L = L_1 + L_per + lambda_adv L_adv (at w = 1) + lambda_token L_code_token + L_code_feat'

on mildly and strongly degraded faces; `full_fidelity_share` takes some steps at a smaller w, and
`full_fidelity_perceptual` lets L_per count less the higher w is. Stage II's losses stay, so that
the transformer is as good at w = 0; the image losses cannot reach it, because they pass through the
chosen codes, which have no gradient. Generator and codebook stay frozen.
"""

import numpy as np
from torch.nn import functional as F

from ..networks import FaceCodes
from .config import RunConfig
from .data import Batch
from .stage import Score, StepResult
from .stage_two import CodePredictionStage


class FusionStage(CodePredictionStage):
    """Trains fusion, encoder and transformer of a CodeFormer."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.network.fuse_convs_dict.requires_grad_(True)

    def forward(self, batch: Batch, step: int, score: Score) -> StepResult:
        assert batch.degraded is not None
        weights, network = self.config.losses, self.network
        sizes = self.config.model.fusion_sizes
        latents, features = network.encoder.with_features(batch.degraded, sizes)
        code_loss, logged, logits = self.code_losses(latents.float(), batch)
        face_codes = FaceCodes(latents, logits, logits.argmax(2), features)
        fidelity = self.fidelity_at(step)
        pictures = network.decode(face_codes, fidelity).float()
        pixel = F.l1_loss(pictures, batch.clean)
        perceptual = self.perceptual_term(pictures, batch.clean)
        reconstruction = weights.pixel * pixel + self.perceptual_weight(fidelity) * perceptual
        last_layer = network.get_parameter(f"fuse_convs_dict.{max(sizes)}.shift.2.weight")
        adversarial = self.adversarial_term(pictures, reconstruction, last_layer, step, score)
        return StepResult(
            loss=reconstruction + code_loss + adversarial,
            logged={"L_1": pixel, "L_per": perceptual, **logged},
            pictures=pictures,
            adversarial=self.is_adversarial(step),
            codes=face_codes.codes,
        )

    def fidelity_at(self, step: int) -> float:
        """The w of a step: the settings', or one drawn below it; the same in every process."""
        random = np.random.default_rng((self.config.seed, step))
        if random.random() < self.config.full_fidelity_share:
            return self.config.fidelity
        return self.config.fidelity * random.random()

    def perceptual_weight(self, fidelity: float) -> float:
        """The weight of L_per in a step at w: falls linearly to its share at w = 1, then stays."""
        fall = (1 - self.config.full_fidelity_perceptual) * min(fidelity, 1.0)
        return self.config.losses.perceptual * (1 - fall)

    def validated_fidelities(self) -> tuple[float, ...]:
        """Both ends and the middle: quality at 0 must stay while identity at 1 grows."""
        return (0.0, 0.5, 1.0)
