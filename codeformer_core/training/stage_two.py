"""Stage II: learn to predict the codes of the clean face (paper, section 3.2).

L = lambda_token L_code_token + L_code_feat', on degraded faces, with

    L_code_token = - sum_i s_i log(s_hat_i)
    L_code_feat' = |Z_l - sg(Z_c)|_2^2

where s are the codes of the clean face through stage I. Generator and codebook are frozen; the
encoder is fine-tuned.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..networks import VQGAN, CodeFormer
from .config import RunConfig
from .data import Batch
from .growing import quiet_fusions
from .losses import code_feature_loss, code_token_loss
from .operations import operations_for
from .stage import Adversary, Stage, StepResult
from .weights import load_named_weights

PRIOR = ("quantize", "generator")
"""Stage I's parts, which stages II and III leave as they are, as published."""
UNKNOWN = -1
"""In place of codes that have not been computed yet."""


class CodePredictionStage(Stage[CodeFormer]):
    """Trains encoder and transformer of a CodeFormer."""

    frozen = ("image_losses", "autoencoder")
    known_codes: Tensor | None
    """(variants, T) int16 codes of the clean faces."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        if not config.autoencoder:
            raise SettingError("stages 2 and 3 need `autoencoder`, the weights of stage 1")
        operations = operations_for(config)
        self.autoencoder = VQGAN(config.model.vqgan, operations).eval()
        load_named_weights(self.autoencoder, config.autoencoder)
        self.autoencoder.requires_grad_(False)
        self.network = CodeFormer(config.model, operations)
        _start_from_autoencoder(self.network, self.autoencoder)
        load_named_weights(self.network, config.start_from, optional=PRIOR)
        self._take_over_prior()
        self.network.quantize.requires_grad_(False)
        self.network.generator.requires_grad_(False)
        self.network.fuse_convs_dict.requires_grad_(False)
        self.register_buffer("known_codes", None)

    @property
    def prior(self) -> tuple[str, ...]:
        """Parts that are stage I's at every start, whatever the weights to start from hold."""
        return PRIOR

    def _take_over_prior(self) -> None:
        for name in self.prior:
            prior = getattr(self.autoencoder, name).state_dict()
            getattr(self.network, name).load_state_dict(prior)

    def remember_codes(self, count: int) -> None:
        """Keep the codes of `count` clean variants once they are computed."""
        tokens = self.config.model.vqgan.code_size**2
        device = self.network.position_emb.device
        self.known_codes = torch.full((count, tokens), UNKNOWN, dtype=torch.int16, device=device)
        self._known = np.zeros(count, bool)

    def restore(self, state: dict[str, Tensor]) -> None:
        super().restore(state)
        codes = self.network.quantize.embedding.weight
        have_moved = not torch.equal(codes, self.autoencoder.quantize.embedding.weight)
        self._take_over_prior()  # stage I may have gone on since, or its generator alone
        if self.known_codes is not None:
            if have_moved:
                self.known_codes.fill_(UNKNOWN)
            self._known = (self.known_codes[:, 0] != UNKNOWN).cpu().numpy()

    def forward(self, batch: Batch, step: int, adversary: Adversary | None) -> StepResult:
        assert batch.degraded is not None
        latents = self.network.encoder(batch.degraded).float()
        logits = self.network.predict_logits(latents)
        loss, logged = self.code_losses(latents, logits, batch)
        return StepResult(loss, logged, pictures=None, codes=logits.argmax(2))

    def code_losses(
        self, latents: Tensor, logits: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """lambda_token L_code_token + L_code_feat', and each by name.

        Args:
            latents: (B, C, h, w) float32 of the degraded faces.
            logits: (B, T, K) that were predicted from them.
            batch: whose clean faces are to be predicted.
        """
        weights = self.config.losses
        codes = self.clean_codes(batch)
        wanted = self.network.quantize.lookup(codes, latents.shape[-1])
        token = code_token_loss(logits, codes)
        feature = code_feature_loss(latents, wanted)
        accuracy = (logits.argmax(2) == codes).float().mean()
        loss = weights.code_token * token + weights.code_feature * feature
        logged = {"L_code_token": token, "L_code_feat": feature, "accuracy": accuracy}
        return loss, logged

    @torch.no_grad()
    def clean_codes(self, batch: Batch) -> Tensor:
        """(B, T) codes of the clean faces through stage I, computed once for each variant."""
        if self.known_codes is None or batch.keys is None:
            return self.autoencoder.encode(batch.clean)[1]
        rows = torch.from_numpy(batch.keys).to(batch.clean.device, non_blocking=True)
        if not self._known[batch.keys].all():  # then all of them, so that no size changes
            self.known_codes[rows] = self.autoencoder.encode(batch.clean)[1].short()
            self._known[batch.keys] = True
        return self.known_codes[rows].long()

    def restorations(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        restorer = cast(CodeFormer, network)
        assert batch.degraded is not None
        latents = self.autoencoder.encode(batch.degraded)[1]
        nearest = {"nearest neighbour": self.autoencoder.decode(latents)}
        face_codes = restorer.encode(batch.degraded)
        return nearest | {
            f"w = {fidelity:g}": restorer.decode(face_codes, fidelity)
            for fidelity in self.validated_fidelities()
        }

    def validated_fidelities(self) -> tuple[float, ...]:
        """The fidelities to validate at: before stage III there is no fusion."""
        return (0.0,)


@torch.no_grad()
def _start_from_autoencoder(network: CodeFormer, autoencoder: VQGAN) -> None:
    """Take over encoder, codebook and generator; let the fusion start as no change at all.

    So that the weights of stage II can be used at any fidelity, and stage III starts from them.
    """
    for name in ("encoder", "quantize", "generator"):
        getattr(network, name).load_state_dict(getattr(autoencoder, name).state_dict())
    nn.init.normal_(network.position_emb, std=0.02)
    quiet_fusions(network)
