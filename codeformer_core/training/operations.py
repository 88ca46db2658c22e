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
        x, weight, mean, inverse = ctx.saved_tensors
        groups = mean.shape[1]
        # All (B, G, channels of a group) or (B, G, 1) from here on.
        mean, inverse = mean.unsqueeze(2), inverse.unsqueeze(2)
        weights = weight.view(groups, -1)
        pixels = weights.shape[1] * x.shape[2] * x.shape[3]
        total = gradient.sum((2, 3), dtype=torch.float32).unflatten(1, weights.shape)
        # sum of gradient * normalised x over the pixels
        aligned = (gradient * x).sum((2, 3), dtype=torch.float32).unflatten(1, weights.shape)
        aligned = torch.addcmul(aligned, mean, total, value=-1) * inverse
        # dx = inverse * (gradient * weight - mean(gradient * weight) - x_hat * mean(...)),
        # gathered into one factor for the gradient, one for x, and a constant.
        of_gradient = weights * inverse
        of_x = (aligned * of_gradient).sum(2, keepdim=True) * inverse / -pixels
        constant = (total * of_gradient).sum(2, keepdim=True) / -pixels - of_x * mean
        dx = torch.addcmul(_spread(constant, x), gradient, _spread(of_gradient, x))
        dx.addcmul_(x, _spread(of_x, x))
        return dx, aligned.sum(0).flatten(), total.sum(0).flatten(), None, None


def _spread(values: Tensor, x: Tensor) -> Tensor:
    """Numbers (B, G, channels or 1) of the channels of x (B, C, H, W): (B, C, 1, 1) in its type."""
    groups = values.shape[1]
    return values.to(x.dtype).expand(-1, -1, x.shape[1] // groups).reshape(*x.shape[:2], 1, 1)


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
    shape = (groups, x.shape[1] // groups)
    means = x.mean((2, 3), dtype=torch.float32).unflatten(1, shape)
    norms = torch.linalg.vector_norm(x, dim=(2, 3), dtype=torch.float32).unflatten(1, shape)
    mean = means.mean(2, keepdim=True)
    squares = norms.square().sum(2, keepdim=True) / (shape[1] * x.shape[2] * x.shape[3])
    inverse = (torch.addcmul(squares, mean, mean, value=-1).clamp(min=0) + epsilon).rsqrt()
    scale = weight.view(shape) * inverse
    shift = torch.addcmul(bias.view(shape), mean, scale, value=-1)
    y = torch.addcmul(_spread(shift, x), x, _spread(scale, x))
    return y, mean.squeeze(2), inverse.squeeze(2)


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


def narrow_helpers(stage: nn.Module) -> None:
    """Turn the convolutions of frozen helpers to bfloat16, as autocast would at every call.

    What a run saves stays as it is, and so does what is taken over from stage I.
    """
    for name, module in stage.named_modules():
        helps = name.startswith(("image_losses.", "autoencoder.encoder."))
        if helps and isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)


def compile_blocks(stage: nn.Module) -> None:
    """Compile the blocks of a stage one by one: a few seconds for each size there is."""
    torch._dynamo.config.recompile_limit = MOST_BLOCKS  # pyright: ignore[reportPrivateUsage]
    for module in stage.modules():
        if isinstance(module, (ResidualBlock, FeatureFusion)):
            module.compile(dynamic=False)
