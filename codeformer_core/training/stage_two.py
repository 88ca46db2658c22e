"""Stage II: learn to predict the codes of the clean face (paper, section 3.2).

L = lambda_token L_code_token + L_code_feat', on degraded faces. Generator and codebook are frozen;
the encoder is fine-tuned.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..networks import VQGAN, CodeFormer, PatchDiscriminator
from .config import RunConfig
from .data import Batch
from .losses import code_feature_loss, code_token_loss
from .operations import OPERATIONS
from .stages import Stage, StepResult
from .weights import load_weights


class CodePredictionStage(Stage):
    """Trains encoder and transformer of a CodeFormer."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        if not config.autoencoder:
            raise SettingError("stages 2 and 3 need `autoencoder`, the weights of stage 1")
        self.autoencoder = VQGAN(config.model.vqgan, OPERATIONS)
        load_weights(self.autoencoder, Path(config.autoencoder))
        self.autoencoder.requires_grad_(False)
        self.network: CodeFormer = CodeFormer(config.model, OPERATIONS)
        for name in ("encoder", "quantize", "generator"):
            source = getattr(self.autoencoder, name)
            getattr(self.network, name).load_state_dict(source.state_dict())
        nn.init.normal_(self.network.position_emb, std=0.02)
        self.network.quantize.requires_grad_(False)
        self.network.generator.requires_grad_(False)
        self.network.fuse_convs_dict.requires_grad_(False)
        self.discriminator = PatchDiscriminator(channels=32)

    def forward(self, batch: Batch, step: int) -> StepResult:
        assert batch.degraded is not None
        latents = self.network.encoder(batch.degraded).float()
        loss, logged, _ = self.code_losses(latents, batch.clean)
        return StepResult(loss, logged, batch.degraded, adversarial=False)

    def code_losses(
        self, latents: Tensor, clean: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """lambda_token L_code_token + L_code_feat', each by name, and the (B, T, K) logits.

        Args:
            latents: (B, C, h, w) of the degraded faces.
            clean: (B, 3, S, S) the clean faces.
        """
        weights = self.config.losses
        with torch.no_grad():
            codes = self.autoencoder.encode(clean)[1]
            wanted = self.network.quantize.lookup(codes, latents.shape[-1])
        logits = self.network.predict_logits(latents)
        token = code_token_loss(logits, codes)
        feature = code_feature_loss(latents, wanted)
        accuracy = (logits.argmax(2) == codes).float().mean()
        loss = weights.code_token * token + weights.commitment * feature
        logged = {"L_code_token": token, "L_code_feat": feature, "accuracy": accuracy}
        return loss, logged, logits
