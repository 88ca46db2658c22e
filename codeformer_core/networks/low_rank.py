"""Low-rank changes of a network's layers: W + up @ down (E. Hu et al., "LoRA", 2021).

They are held apart from the network while they are learnt, and added to its weights for use, where
they cost nothing.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .codeformer import CodeFormer

ADAPTED = ("feat_emb", "ft_layers.", "idx_pred_layer.", "fuse_convs_dict.")
"""Beginnings of the names of layers that may change: code prediction and fusion."""
ADAPTED_LAYERS = (nn.Linear, nn.Conv2d)


class LowRank(NamedTuple):
    """The change of one layer's weight."""

    down: Tensor
    """(rank, inputs): of a convolution, its input channels times its kernel."""
    up: Tensor
    """(outputs, rank)."""


LowRanks = dict[str, LowRank]
"""Changes by the name of the layer."""


def adapted_layers(network: CodeFormer) -> Iterator[tuple[str, nn.Module]]:
    """The layers that may change, by name."""
    for name, layer in network.named_modules():
        if name.startswith(ADAPTED) and isinstance(layer, ADAPTED_LAYERS):
            yield name, layer


def delta(change: LowRank, weight: Tensor) -> Tensor:
    """What is added to a weight, in its shape and in float32."""
    return (change.up.float() @ change.down.float()).view(weight.shape)


@torch.no_grad()
def adapted(network: CodeFormer, changes: LowRanks, strength: float = 1.0) -> CodeFormer:
    """A copy of a network with changes added.

    Args:
        network: any size and number type, prepared for inference or not; stays as it is.
        changes: shapes that fit it.
        strength: factor on the changes.

    Returns:
        A network with weights of its own, in the same type, layout and place.
    """
    changed = copied(network)
    layers = dict(adapted_layers(changed))
    for name, change in changes.items():
        weight = layers[name].weight
        assert isinstance(weight, nn.Parameter)
        moved = LowRank(*(part.to(weight.device) for part in change))
        weight.data += (strength * delta(moved, weight)).to(weight)
    return changed


def copied(network: CodeFormer) -> CodeFormer:
    """A copy of what a CodeFormer consists of, without what a host has hung on it."""
    copy_ = CodeFormer.__new__(CodeFormer)
    nn.Module.__init__(copy_)
    copy_.config = network.config
    copy_.position_emb = copy.deepcopy(network.position_emb)
    for name, child in network.named_children():
        copy_.add_module(name, copy.deepcopy(child))
    return copy_.train(network.training)
