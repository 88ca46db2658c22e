"""Stage III: learn the controllable feature transformation (paper, section 3.3).

    F_hat_d = F_d + (alpha * F_d + beta) * w,   alpha, beta = P_theta(concat(F_d, F_e))
    L = L_1 + L_per + lambda_adv L_adv (at w = 1) + lambda_token L_code_token + L_code_feat'

on mildly and strongly degraded faces; `full_fidelity_share` takes some faces at a smaller w, and
`full_fidelity_perceptual` lets L_per count less the higher w is. Stage II's losses stay, so that
the transformer is as good at w = 0. The image losses reach it only where a `code_temperature` draws
the mean of all codes: the choice of one has no gradient. The codebook stays frozen, and as
published the generator, which `train_generator` lets learn what stage I cannot teach it: to draw
from predicted codes and fused features.
"""

import torch
from torch import Tensor

from .colour_patterns import remove_colour_patterns
from .config import RunConfig
from .data import Batch
from .stage import Adversary, StepResult
from .stage_two import CodePredictionStage

TRANSFORMER = ("position_emb", "feat_emb", "ft_layers", "idx_pred_layer")
"""The parts that predict codes from latents."""


class FusionStage(CodePredictionStage):
    """Trains fusion, encoder and, as the settings say, transformer and generator."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.network.generator.requires_grad_(config.train_generator)
        self.network.fuse_convs_dict.requires_grad_(True)
        for name in TRANSFORMER:
            getattr(self.network, name).requires_grad_(config.train_transformer)

    @property
    def prior(self) -> tuple[str, ...]:
        """Stage I's parts, but for a generator that goes its own way."""
        return ("quantize",) if self.config.train_generator else super().prior

    def forward(self, batch: Batch, step: int, adversary: Adversary | None) -> StepResult:
        assert batch.degraded is not None
        network, sizes = self.network, self.config.model.fusion_sizes
        latents, features = network.encoder.with_features(batch.degraded, sizes)
        face_codes = network.face_codes(latents, features)
        code_loss, logged = self.code_losses(latents.float(), face_codes.logits, batch)
        fidelity = self.fidelities(batch)
        pictures = network.generate(face_codes, fidelity.view(-1, 1, 1, 1)).float()
        reconstruction, of_images = self.image_losses(
            pictures, batch.clean, self.perceptual_share(fidelity)
        )
        last_layer = network.get_parameter(f"fuse_convs_dict.{max(sizes)}.shift.2.weight")
        adversarial, of_adversary = self.adversarial_term(
            pictures, reconstruction, last_layer, adversary
        )
        return StepResult(
            loss=reconstruction + code_loss + adversarial,
            logged={**of_images, **logged, **of_adversary},
            pictures=pictures,
            codes=face_codes.codes,
        )

    def after_step(self, step: int) -> None:
        """Hold the last layer, as stage I does."""
        if self.config.train_generator:
            generator = self.network.generator
            remove_colour_patterns(generator.blocks[-1], generator.patch)

    def fidelities(self, batch: Batch) -> Tensor:
        """(B,) the w of each face: the settings', or one drawn below it."""
        full, drawn = batch.chances.unbind(1)
        drawn = torch.where(full < self.config.full_fidelity_share, 1.0, drawn)
        return self.config.fidelity * drawn

    def perceptual_share(self, fidelity: Tensor) -> Tensor:
        """(B,) how much of L_per counts at w: falls linearly to its share at w = 1, then stays."""
        return 1 - (1 - self.config.full_fidelity_perceptual) * fidelity.clamp(max=1)

    def validated_fidelities(self) -> tuple[float, ...]:
        """Both ends and the middle: quality at 0 must stay while identity at 1 grows."""
        return (0.0, 0.5, 1.0)
