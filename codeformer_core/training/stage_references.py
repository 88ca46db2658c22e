"""Beside stage III: learn to draw whom reference photos show.

    F_hat = F_d + gate * out(F_e, F_d, descriptor)
    L = L_1 + L_per + L_id at w = `fidelity`, or any w

Nothing of the CodeFormer learns: encoder, codes and fusion are as in use, and gradients pass
through its generator to the conditioning alone.
"""

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..checkpoints.reader import Metadata
from ..errors import SettingError
from ..models import load_network
from ..networks import FaceCodes
from ..networks.references import ReferenceConditioning
from ..people.conditioning import (
    Conditioning,
    channels_of,
    described,
    read_conditioning,
    save_conditioning,
)
from .config import RunConfig
from .data import Batch
from .operations import operations_for
from .stage import Adversary, Stage, StepResult


class ReferenceStage(Stage[ReferenceConditioning]):
    """Trains the conditioning on descriptors of a frozen CodeFormer."""

    frozen = ("image_losses", "base")

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config)
        if not config.start_from:
            raise SettingError(
                "the conditioning on references needs `start_from`, the weights of a CodeFormer"
            )
        operations = operations_for(config)
        self.base = load_network(config.start_from, operations=operations, dtype=torch.float32)
        self.base.eval().requires_grad_(False)
        if self.base.size != config.model.vqgan.image_size:
            raise SettingError(
                f"{config.start_from} restores faces of {self.base.size} px: set "
                f"model.vqgan.image_size={self.base.size}"
            )
        sides = config.references.sides
        self.network = ReferenceConditioning.of(self.base.config, sides, operations)
        if config.references.start_from:
            self._go_on_from(Path(config.references.start_from))

    def _go_on_from(self, path: Path) -> None:
        learnt = read_conditioning(path).network
        if channels_of(learnt) != channels_of(self.network):
            raise SettingError(
                f"{path.name} changes other features ({channels_of(learnt)} channels by side) than "
                f"is to be learnt ({channels_of(self.network)}): leave out `references.start_from`"
            )
        self.network.load_state_dict(learnt.state_dict())

    def forward(self, batch: Batch, step: int, adversary: Adversary | None) -> StepResult:
        assert batch.references is not None
        face_codes = self._encode(batch)
        weight = self.fidelities(batch).view(-1, 1, 1, 1)
        refinements = self.network.refinements(batch.references)
        pictures = self.base.generate(face_codes, weight, refinements=refinements).float()
        loss, logged = self.image_losses(pictures, batch.clean)
        return StepResult(loss, logged, pictures)

    @torch.no_grad()
    def _encode(self, batch: Batch) -> FaceCodes:
        """As `CodeFormer.encode`, without waiting for a GPU, and with the features refined."""
        assert batch.degraded is not None
        sides = tuple({*self.base.config.fusion_sizes, *self.network.sizes})
        latents, features = self.base.encoder.with_features(batch.degraded, sides)
        return self.base.face_codes(latents, features)

    def fidelities(self, batch: Batch) -> Tensor:
        """(B,) the w of each face: the settings', or any."""
        full, drawn = batch.chances.unbind(1)
        return torch.where(full < self.config.full_fidelity_share, self.config.fidelity, drawn)

    def restorations(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        conditioning = cast(ReferenceConditioning, network)
        assert batch.references is not None
        face_codes = self._encode(batch)
        weight = face_codes.latents.new_full((1, 1, 1, 1), self.config.fidelity)
        # The next face's photos are of somebody else, but for a few.
        known = {"own photos": batch.references, "a stranger's": batch.references.roll(1, 0)}
        return {"no photos": self.base.generate(face_codes, weight)} | {
            name: self.base.generate(
                face_codes, weight, refinements=conditioning.refinements(descriptors)
            )
            for name, descriptors in known.items()
        }

    def write(self, network: Any, path: Path, metadata: Metadata) -> None:
        learnt = described(Conditioning.beside(self.base, network), Path(self.config.start_from))
        save_conditioning(path, learnt, metadata)
