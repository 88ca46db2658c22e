"""Stage I: learn the codebook (paper, section 3.1).

L = L_1 + L_per + L_code_feat + lambda_adv L_adv, on clean faces, with

    L_1 = |I_h - I_rec|_1
    L_per = |Phi(I_h) - Phi(I_rec)|_2^2
    L_adv = log D(I_h) + log(1 - D(I_rec))                (here as a hinge, weighted adaptively)
    L_code_feat = |sg(Z_h) - Z_c|_2^2 + beta |Z_h - sg(Z_c)|_2^2

The first term of L_code_feat is minimised by moving averages instead of gradients, which keeps all
codes in use (see `vector_quantizer`).
"""

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..networks import VQGAN
from .colour_patterns import remove_colour_patterns
from .config import RunConfig
from .data import Batch
from .losses import code_feature_loss, straight_through
from .operations import operations_for
from .stage import Adversary, Stage, StepResult
from .vector_quantizer import VectorQuantizer
from .weights import load_named_weights


class CodebookStage(Stage[VQGAN]):
    """Trains a VQGAN to reproduce clean faces through its codes."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        self.network = VQGAN(config.model.vqgan, operations_for(config))
        load_named_weights(self.network, config.start_from)
        self.network.encoder.requires_grad_(config.train_codes)
        self.codebook = VectorQuantizer(self.network.quantize)
        if config.start_from:
            self.codebook.keep_codes()
        self._seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, batch: Batch, step: int, adversary: Adversary | None) -> StepResult:
        latents = self.network.encoder(batch.clean).float()
        quantized, codes = self._quantize(latents, step)
        pictures = self.network.generator(straight_through(latents, quantized)).float()
        reconstruction, logged = self.image_losses(pictures, batch.clean)
        commitment = code_feature_loss(latents, quantized)
        last_layer = list(self.network.generator.parameters())[-2]  # weight, bias
        adversarial, of_adversary = self.adversarial_term(
            pictures, reconstruction, last_layer, adversary
        )
        return StepResult(
            loss=reconstruction + self.config.losses.commitment * commitment + adversarial,
            logged={**logged, "L_code_feat": commitment, **of_adversary},
            pictures=pictures,
            codes=codes,
        )

    def _quantize(self, latents: Tensor, step: int) -> tuple[Tensor, Tensor | None]:
        """Features and indices of the nearest codes; the latents until the codebook starts.

        Raises:
            SettingError: codes are to be kept and there are none.
        """
        if not self.codebook.has_started:
            if not self.config.train_codes:
                raise SettingError("train_codes=false needs codes to keep: set start_from to them")
            if step < self.config.quantize_after:
                return latents, None
            self.codebook.start_from(self.process_group.gather(latents.detach()), self.config.seed)
        codes = self.network.quantize.nearest(latents)
        if self.config.train_codes:
            self._seen.append((latents.detach(), codes))
        return self.network.quantize.lookup(codes, latents.shape[-1]), codes

    def after_step(self, step: int) -> None:
        """Move the codes to the means of the latents they stood for; hold the last layer."""
        generator = self.network.generator
        remove_colour_patterns(generator.blocks[-1], generator.patch)
        self._move_codes(step)

    def _move_codes(self, step: int) -> None:
        if not self._seen:
            return
        latents, codes = (
            self.process_group.gather(torch.cat(each)) for each in zip(*self._seen, strict=True)
        )
        self._seen.clear()
        generator = torch.Generator(latents.device)
        generator.manual_seed(self.config.seed * 1_000_003 + step)
        self.codebook.update(latents, codes, generator)

    def restorations(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"reconstruction": network(batch.clean)}
