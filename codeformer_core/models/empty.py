"""Build a network without numbers, to be given the tensors of a file."""

import torch
from torch import nn

from ..networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig
from ..networks.layers import Operations


class _Unset(nn.Module):
    """Leaves parameters as they are allocated.

    Drawing random numbers on the meta device, where nothing is drawn, makes PyTorch import its
    compiler: a second and 150 MB.
    """

    def reset_parameters(self) -> None:
        pass


class Conv2d(_Unset, nn.Conv2d):
    """`nn.Conv2d` without initial values."""


class Linear(_Unset, nn.Linear):
    """`nn.Linear` without initial values."""


class GroupNorm(_Unset, nn.GroupNorm):
    """`nn.GroupNorm` without initial values."""


class LayerNorm(_Unset, nn.LayerNorm):
    """`nn.LayerNorm` without initial values."""


class Embedding(_Unset, nn.Embedding):
    """`nn.Embedding` without initial values."""


class _UnsetOperations:
    Conv2d, Linear, GroupNorm = Conv2d, Linear, GroupNorm
    LayerNorm, Embedding = LayerNorm, Embedding


def build_empty(
    config: CodeFormerConfig | VQGANConfig, operations: Operations = nn
) -> CodeFormer | VQGAN:
    """A network of the given sizes on the meta device: shapes, no numbers, no memory.

    Args:
        config: sizes; its type says which network.
        operations: where layer classes come from.
    """
    layers = _UnsetOperations if operations is nn else operations
    with torch.device("meta"):
        if isinstance(config, CodeFormerConfig):
            return CodeFormer(config, layers)
        return VQGAN(config, layers)
