"""Layer classes for training: those of `torch.nn`, with a GroupNorm that is fast in channels-last.

PyTorch's own backward pass of GroupNorm on the CPU costs a fifth of a whole training step when the
feature maps are channels-last, which the convolutions want; written as a few passes over memory it
costs a tenth of that.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from ..networks.layers import Operations
from .config import RunConfig


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
        batch, channels, height, width = x.shape
        y, mean, inverse_deviation = torch.native_group_norm(
            x, weight.to(x), bias.to(x), batch, channels, height * width, groups, epsilon
        )
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


OPERATIONS = SimpleNamespace(
    Conv2d=nn.Conv2d,
    Linear=nn.Linear,
    LayerNorm=nn.LayerNorm,
    Embedding=nn.Embedding,
    GroupNorm=ChannelsLastGroupNorm,
)
"""What the networks are built from in training; the weights are those of `torch.nn`."""


def operations_for(config: RunConfig) -> Operations:
    """Layer classes for the device of a run: a GPU's own GroupNorm is fast already."""
    on_gpu = config.device == "auto" and torch.cuda.is_available()
    return nn if on_gpu else OPERATIONS
