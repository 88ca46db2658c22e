"""What CodeFormer's encoder and transformer make of faces."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import Self

from .config import CodeFormerConfig


@dataclass(frozen=True)
class FaceCodes:
    """All the generator needs of a batch of crops: a new fidelity costs only `decode`."""

    latents: Tensor
    """(B, code_channels, h, h) encoder output Z_l."""
    logits: Tensor
    """(B, h*h, codebook_size) scores of the codes, before the softmax."""
    codes: Tensor
    """(B, h*h) int64 code indices, to be looked at: the likeliest, unless others were chosen."""
    code_features: Tensor
    """(B, code_channels, h, h) what the generator draws, whatever `codes` says: theirs, or a mean
    of all; `pipeline.codes.choose_codes` sets both."""
    features: dict[int, Tensor]
    """{side: (B, C, side, side)} encoder features: those that are fused or refined."""

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.codes)

    def to(self, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Self:
        """Return the same on a device, with what the generator reads in a floating type."""
        return type(self)(
            self.latents.to(device, dtype),
            self.logits.to(device),
            self.codes.to(device),
            self.code_features.to(device, dtype),
            {side: feature.to(device, dtype) for side, feature in self.features.items()},
        )

    def take(self, part: slice | list[int]) -> Self:
        """Return those of some of the faces, in this order."""
        return type(self)(
            self.latents[part],
            self.logits[part],
            self.codes[part],
            self.code_features[part],
            {side: feature[part] for side, feature in self.features.items()},
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Those of consecutive batches, at least one, as those of a single batch."""
        if len(parts) == 1:
            return parts[0]
        features = {
            side: torch.cat([part.features[side] for part in parts]) for side in parts[0].features
        }
        return cls(
            torch.cat([part.latents for part in parts]),
            torch.cat([part.logits for part in parts]),
            torch.cat([part.codes for part in parts]),
            torch.cat([part.code_features for part in parts]),
            features,
        )

    @classmethod
    def empty(cls, config: CodeFormerConfig) -> Self:
        """Those of no face at all."""
        vqgan, side = config.vqgan, config.vqgan.code_size
        channels = vqgan.channels_by_size
        none = torch.zeros(0, vqgan.code_channels, side, side)
        return cls(
            none,
            torch.zeros(0, side**2, vqgan.codebook_size),
            torch.zeros(0, side**2, dtype=torch.int64),
            none,
            {size: torch.zeros(0, channels[size], size, size) for size in config.feature_sizes},
        )
