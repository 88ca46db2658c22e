"""Stage I: learn the codebook (paper, section 3.1).

L = L_1 + L_per + L_code_feat + lambda_adv L_adv, on clean faces.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from ..networks import VQGAN, PatchDiscriminator
from .codebook_care import MovingCodebook
from .config import RunConfig
from .data import Batch
from .losses import code_feature_loss, straight_through
from .operations import OPERATIONS
from .perceptual import PerceptualDistance, perceptual_term
from .stages import Stage, StepResult


class CodebookStage(Stage):
    """Trains a VQGAN to reproduce clean faces through its codes."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.network: VQGAN = VQGAN(config.model.vqgan, OPERATIONS)
        self.codebook = MovingCodebook(self.network.quantize)
        self.discriminator = PatchDiscriminator(channels=32)
        self.perceptual = PerceptualDistance() if config.losses.perceptual else None
        self._latents: Tensor | None = None
        self._codes: Tensor | None = None

    def forward(self, batch: Batch, step: int) -> StepResult:
        weights = self.config.losses
        latents = self.network.encoder(batch.clean).float()
        quantized = self._quantize(latents, step)
        pictures = self.network.generator(straight_through(latents, quantized)).float()
        pixel = F.l1_loss(pictures, batch.clean)
        perceptual = perceptual_term(self.perceptual, pictures, batch.clean)
        commitment = code_feature_loss(latents, quantized)
        reconstruction = weights.pixel * pixel + weights.perceptual * perceptual
        last_layer = self.network.generator.blocks[-1].weight
        adversarial = self.adversarial_term(pictures, reconstruction, last_layer, step)
        return StepResult(
            loss=reconstruction + weights.commitment * commitment + adversarial,
            logged={"L_1": pixel, "L_per": perceptual, "L_code_feat": commitment},
            pictures=pictures,
            adversarial=step >= self.config.adversarial_after,
        )

    def _quantize(self, latents: Tensor, step: int) -> Tensor:
        """Features of the nearest codes; the latents themselves until the codebook starts."""
        if step < self.config.quantize_after:
            return latents
        if step == self.config.quantize_after:
            self.codebook.start_from(latents, self.config.seed)
        codes = self.network.quantize.nearest(latents)
        self._latents, self._codes = latents.detach(), codes
        return self.network.quantize.lookup(codes, latents.shape[-1])

    def after_step(self, step: int) -> None:
        """Move the codes to the means of the latents they stood for."""
        if self._latents is not None and self._codes is not None:
            generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
            self.codebook.update(self._latents, self._codes, generator)
