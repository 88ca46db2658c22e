"""Controllable feature transformation of stage III (paper, section 3.3)."""

import torch
from torch import Tensor, nn

from .config import NORM_GROUPS
from .layers import Operations, ResidualBlock


class FeatureFusion(nn.Module):
    """Modulate generator features by encoder features, as far as the fidelity asks.

    F_hat = F_d + (scale * F_d + shift) * fidelity, with scale, shift = P(concat(F_e, F_d)).
    """

    def __init__(
        self, channels: int, operations: Operations = nn, narrow_groups: int = NORM_GROUPS
    ) -> None:
        super().__init__()
        self.encode_enc = ResidualBlock(2 * channels, channels, operations, narrow_groups)
        self.scale = _modulation(channels, operations)
        self.shift = _modulation(channels, operations)

    def forward(self, encoded: Tensor, decoded: Tensor, fidelity: Tensor | float) -> Tensor:
        """Fuse (B, C, H, W) encoder features into (B, C, H, W) generator features.

        Args:
            encoded: F_e, the encoder's features of the same side.
            decoded: F_d, the generator's features.
            fidelity: one number, or (B, 1, 1, 1); 0 leaves `decoded` as it is.

        Returns:
            (B, C, H, W).
        """
        joint = self.encode_enc(torch.cat([encoded, decoded], dim=1))
        change = torch.addcmul(self.shift(joint), decoded, self.scale(joint))
        return torch.addcmul(decoded, change, torch.as_tensor(fidelity).to(decoded))


def _modulation(channels: int, operations: Operations) -> nn.Sequential:
    return nn.Sequential(
        operations.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(0.2),
        operations.Conv2d(channels, channels, 3, padding=1),
    )
