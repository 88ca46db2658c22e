"""Conditioning of the generator on whom a face shows.

Scale and shift of joint features by a descriptor (E. Perez et al., "FiLM: Visual Reasoning with a
General Conditioning Layer", 2018), behind the fusion of each side:

    x = SiLU((1 + gamma) * P(norm(concat(F_e, F_d))) + beta),   gamma, beta = MLP(descriptor)
    F_hat = F_d + sigmoid(gate(x)) * out(x)

`out` begins with zeros, so that the conditioning begins as no change at all.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import SettingError
from .codeformer import Refinements
from .config import CodeFormerConfig
from .identity import DESCRIPTOR_LENGTH
from .layers import Operations

HIDDEN = 256
"""Channels between the two layers of the MLP."""
GROUPS = 8
"""Of the GroupNorm over the joint features."""
DESCRIPTOR_SCALE = 4.0
"""Numbers of a descriptor are about 0.1, which is little for a layer to begin with."""


class DescriptorModulation(nn.Module):
    """Changes the generator's features of one side by a descriptor."""

    def __init__(self, channels: int, operations: Operations = nn) -> None:
        super().__init__()
        self.norm = operations.GroupNorm(GROUPS, 2 * channels, eps=1e-6)
        self.joint = operations.Conv2d(2 * channels, channels, 1)
        self.film = nn.Sequential(
            operations.Linear(DESCRIPTOR_LENGTH, HIDDEN),
            nn.SiLU(),
            operations.Linear(HIDDEN, 2 * channels),
        )
        self.gate = operations.Conv2d(channels, 1, 1)
        self.out = operations.Conv2d(channels, channels, 3, padding=1)

    def forward(self, encoded: Tensor, decoded: Tensor, descriptors: Tensor) -> Tensor:
        """Change the generator's features as far as the gate lets it.

        Args:
            encoded: F_e, (B, C, H, W) of the encoder.
            decoded: F_d, (B, C, H, W) of the generator, fused.
            descriptors: (B, 128), means over the reference photos of each face's person.

        Returns:
            (B, C, H, W).
        """
        joint = self.joint(self.norm(torch.cat([encoded, decoded], dim=1)))
        film = self.film((DESCRIPTOR_SCALE * descriptors).to(joint.dtype))
        scale, shift = film[:, :, None, None].chunk(2, dim=1)
        x = F.silu(torch.addcmul(joint + shift, joint, scale))
        return torch.addcmul(decoded, torch.sigmoid(self.gate(x)), self.out(x)).to(decoded.dtype)


class ReferenceConditioning(nn.Module):
    """The modulations of all sides, beside a CodeFormer that stays as it is.

    Args:
        channels: of the feature maps, by their side.
        operations: where layer classes come from.
    """

    def __init__(self, channels: Mapping[int, int], operations: Operations = nn) -> None:
        super().__init__()
        self.sides = nn.ModuleDict(
            {str(side): DescriptorModulation(n, operations) for side, n in channels.items()}
        )

    @classmethod
    def of(
        cls, config: CodeFormerConfig, sides: tuple[int, ...], operations: Operations = nn
    ) -> "ReferenceConditioning":
        """A new one for a CodeFormer, which changes nothing yet.

        Raises:
            SettingError: a side whose features the CodeFormer's encoder does not hand on.
        """
        channels = config.vqgan.channels_by_size
        if unknown := sorted(set(sides) - set(config.feature_sizes)):
            known = sorted(config.feature_sizes)
            raise SettingError(f"sides {unknown} to condition are none of {known}")
        conditioning = cls({side: channels[side] for side in sides}, operations)
        for modulation in conditioning.sides.values():
            nn.init.zeros_(modulation.get_parameter("out.weight"))
            nn.init.zeros_(modulation.get_parameter("out.bias"))
            nn.init.ones_(modulation.get_parameter("gate.bias"))
        return conditioning

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the feature maps that are changed."""
        return tuple(int(side) for side in self.sides)

    def refine(self, side: int, encoded: Tensor, decoded: Tensor, descriptors: Tensor) -> Tensor:
        """Change the generator's features of one side; see `DescriptorModulation`."""
        return self.sides[str(side)](encoded, decoded, descriptors)

    def refinements(self, descriptors: Tensor) -> Refinements:
        """What `CodeFormer.generate` shall do at each side.

        Args:
            descriptors: (B, 128), one a face.
        """
        return {side: partial(self.refine, side, descriptors=descriptors) for side in self.sizes}
