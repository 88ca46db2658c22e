"""Building blocks shared by the encoder and the generator.

Layer classes come from an `operations` namespace (`torch.nn` or a host's replacement with the same
names), so that a memory manager can cast and move weights layer by layer.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import NORM_GROUPS

Operations = Any
"""A namespace with Conv2d, Linear, GroupNorm, LayerNorm and Embedding; `torch.nn` by default."""


def group_norm(channels: int, operations: Operations, narrow_groups: int) -> nn.Module:
    """GroupNorm with the published epsilon and number of groups, but for the narrowest channels."""
    groups = NORM_GROUPS if channels > NORM_GROUPS else narrow_groups
    return operations.GroupNorm(groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        operations: Operations = nn,
        narrow_groups: int = NORM_GROUPS,
    ) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels, operations, narrow_groups)
        self.conv1 = operations.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels, operations, narrow_groups)
        self.conv2 = operations.Conv2d(out_channels, out_channels, 3, padding=1)
        if in_channels != out_channels:
            self.conv_out = operations.Conv2d(in_channels, out_channels, 1)
        else:
            self.conv_out = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(_silu(self.norm1(x)))
        hidden = self.conv2(_silu(self.norm2(hidden)))
        hidden += self.conv_out(x)
        return hidden


def _silu(fresh: Tensor) -> Tensor:
    """SiLU of a tensor nobody else holds: in place where no gradient needs the input.

    A new feature map of 512 px costs the CPU four times as much as the arithmetic.
    """
    return F.silu(fresh, inplace=not torch.is_grad_enabled())


class SpatialAttention(nn.Module):
    """Single-head self-attention over the pixels of a small feature map."""

    def __init__(
        self, channels: int, operations: Operations = nn, narrow_groups: int = NORM_GROUPS
    ) -> None:
        super().__init__()
        self.norm = group_norm(channels, operations, narrow_groups)
        self.q = operations.Conv2d(channels, channels, 1)
        self.k = operations.Conv2d(channels, channels, 1)
        self.v = operations.Conv2d(channels, channels, 1)
        self.proj_out = operations.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        query, key, value = (_pixels_as_tokens(layer(normed)) for layer in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(query, key, value)
        # (B, 1, H*W, C) -> (B, C, H, W)
        return x + self.proj_out(attended[:, 0].transpose(1, 2).reshape(x.shape))


def _pixels_as_tokens(features: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, 1, H*W, C): one attention head over the pixels."""
    return features.flatten(2).transpose(1, 2).unsqueeze(1)


class Downsample(nn.Module):
    """Halve the side with a strided convolution, padded at the right and bottom only."""

    def __init__(self, channels: int, operations: Operations = nn) -> None:
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Double the side by nearest neighbour, then convolve."""

    def __init__(self, channels: int, operations: Operations = nn) -> None:
        super().__init__()
        self.conv = operations.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class FoldedUpsample(nn.Module):
    """The same map as `Upsample` in 4/9 of the multiplications; for inference.

    Each output pixel of a 3x3 convolution over doubled pixels sees only 2x2 different ones. Adding
    up the weights that meet the same pixel gives a transposed convolution of stride 2 and side 4.
    """

    def __init__(self, channels: int, operations: Operations = nn) -> None:
        super().__init__()
        self.conv = operations.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    @staticmethod
    def fold(weight: Tensor) -> Tensor:
        """Weights (out, in, 3, 3) of the convolution to (in, out, 4, 4) of the transposed one."""
        folded = weight.new_zeros((*weight.shape[:2], 4, 4), dtype=torch.float32)
        for row in range(3):
            for column in range(3):
                tap = weight[:, :, row, column, None, None].float()
                folded[:, :, row : row + 2, column : column + 2] += tap
        # A transposed convolution counts its taps from the other end.
        return folded.flip(2, 3).transpose(0, 1).to(weight.dtype)


def adaptive_instance_norm(content: Tensor, style: Tensor, epsilon: float = 1e-5) -> Tensor:
    """Give `content` the per-channel mean and deviation of `style` (AdaIN).

    CodeFormer applies it to the looked-up codes, which keeps the colours of the input.

    Args:
        content: (B, C, H, W).
        style: (B, C, H', W').
        epsilon: added to the variances.

    Returns:
        (B, C, H, W) in the dtype of `content`; the statistics are taken in float32.
    """
    content_mean, content_deviation = _channel_statistics(content, epsilon)
    style_mean, style_deviation = _channel_statistics(style, epsilon)
    normalised = (content.float() - content_mean) / content_deviation
    return (normalised * style_deviation + style_mean).to(content.dtype)


def _channel_statistics(features: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Mean and deviation over the pixels: (B, C, H, W) -> two of (B, C, 1, 1), float32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), keepdim=True)
    return mean, (variance + epsilon).sqrt()
