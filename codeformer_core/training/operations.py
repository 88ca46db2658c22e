"""Layer classes for training: those of `torch.nn`, with a GroupNorm that is fast in channels-last.

Channels-last is what the convolutions want. PyTorch's own backward pass of GroupNorm on the CPU
costs a fifth of a whole training step then; on a GPU its forward pass turns every feature map to
float32 and to the other layout and back. Written as a few passes over memory, both cost little.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..networks.fusion import FeatureFusion
from ..networks.layers import Operations, ResidualBlock
from .config import RunConfig

MOST_BLOCKS = 256
"""Sizes of blocks that may be compiled."""


class ChannelsLastGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with a backward pass made for channels-last feature maps (B, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return _GroupNorm.apply(input, self.weight, self.bias, self.num_groups, self.eps)


class _GroupNorm(torch.autograd.Function):
    """y = (x - mean) / deviation * weight + bias, with statistics of each group of channels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float
    ) -> Tensor:
        normalise = normalise_in_layout if x.is_cuda else _normalise_natively
        y, mean, inverse_deviation = normalise(x, weight, bias, groups, epsilon)
        ctx.save_for_backward(x, weight, mean.float(), inverse_deviation.float())
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        x, weight, mean, inverse_deviation = ctx.saved_tensors
        channels_a_group = x.shape[1] // mean.shape[1]
        pixels = channels_a_group * x.shape[2] * x.shape[3]
        # (B, G) -> (B, C)
        mean = mean.repeat_interleave(channels_a_group, 1)
        inverse = inverse_deviation.repeat_interleave(channels_a_group, 1)
        total = gradient.sum((2, 3), dtype=torch.float32)
        # sum of gradient * normalised x over the pixels
        aligned = (gradient * x).sum((2, 3), dtype=torch.float32)
        aligned = (aligned - mean * total) * inverse

        def over_group(values: Tensor) -> Tensor:
            """Mean over the pixels of each group, (B, C) -> (B, C)."""
            sums = (values * weight).unflatten(1, (-1, channels_a_group)).sum(2) / pixels
            return sums.repeat_interleave(channels_a_group, 1)

        # dx = inverse * (gradient * weight - mean(gradient * weight) - x_hat * mean(...)),
        # gathered into one factor for the gradient, one for x, and a constant.
        of_gradient = weight * inverse
        of_x = -over_group(aligned) * inverse.square()
        constant = -over_group(total) * inverse - of_x * mean
        spread = [value[:, :, None, None].to(x.dtype) for value in (of_gradient, of_x, constant)]
        dx = torch.addcmul(spread[2], gradient, spread[0]).addcmul_(x, spread[1])
        return dx, aligned.sum(0), total.sum(0), None, None


def _normalise_natively(
    x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """GroupNorm of (B, C, H, W), with the mean and the inverse deviation of each group (B, G)."""
    batch, channels, height, width = x.shape
    return torch.native_group_norm(
        x, weight.to(x), bias.to(x), batch, channels, height * width, groups, epsilon
    )


def normalise_in_layout(
    x: Tensor, weight: Tensor, bias: Tensor, groups: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same, which leaves feature maps in the layout and the type they have."""
    channels_a_group = x.shape[1] // groups

    def of_groups(values: Tensor) -> Tensor:
        return values.unflatten(1, (groups, channels_a_group)).mean(2)

    mean = of_groups(x.mean((2, 3), dtype=torch.float32))
    norms = torch.linalg.vector_norm(x, dim=(2, 3), dtype=torch.float32)
    squares = of_groups(norms.square() / (x.shape[2] * x.shape[3]))
    inverse = (squares - mean.square()).clamp(min=0).add(epsilon).rsqrt()
    scale = weight * inverse.repeat_interleave(channels_a_group, 1)
    shift = bias - scale * mean.repeat_interleave(channels_a_group, 1)
    shift, scale = (each[:, :, None, None].to(x.dtype) for each in (shift, scale))
    return torch.addcmul(shift, x, scale), mean, inverse


OPERATIONS = SimpleNamespace(
    Conv2d=nn.Conv2d,
    Linear=nn.Linear,
    LayerNorm=nn.LayerNorm,
    Embedding=nn.Embedding,
    GroupNorm=ChannelsLastGroupNorm,
)
"""What the networks are built from in training; the weights are those of `torch.nn`."""


def operations_for(config: RunConfig) -> Operations:
    """Layer classes of a run; a compiler makes a fast GroupNorm of the plain one by itself."""
    return nn if config.compile else OPERATIONS


def compile_blocks(stage: nn.Module) -> None:
    """Compile the blocks of a stage one by one: a few seconds for each size there is."""
    torch._dynamo.config.recompile_limit = MOST_BLOCKS  # pyright: ignore[reportPrivateUsage]
    for module in stage.modules():
        if isinstance(module, (ResidualBlock, FeatureFusion)):
            module.compile(dynamic=False)
