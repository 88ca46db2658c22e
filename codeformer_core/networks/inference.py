"""Make a loaded network fast without changing what it computes."""

from typing import TypeVar

import torch
from torch import nn

from .codeformer import CodeFormer
from .layers import FoldedUpsample, Operations, Upsample
from .vqgan import VQGAN

Network = TypeVar("Network", CodeFormer, VQGAN)


def prepare_for_inference(network: Network, operations: Operations = nn) -> Network:
    """Fold the generator's upsampling and lay weights out as convolutions read them.

    Args:
        network: with its weights; changed in place. It can no longer be trained or saved.
        operations: where layer classes come from, as when the network was built.

    Returns:
        The network, whose results differ by rounding only.
    """
    blocks = network.generator.blocks
    for index, block in enumerate(blocks):
        if isinstance(block, Upsample):
            blocks[index] = _folded(block, operations)
    for weight in network.parameters():
        # Channels last is what convolutions in bf16 and on tensor cores want. The others are copied
        # too, so that a mapped file is let go as a whole instead of held beside the copies.
        layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
        weight.data = weight.data.clone(memory_format=layout)
    return network


def _folded(upsample: Upsample, operations: Operations) -> FoldedUpsample:
    convolution = upsample.conv
    folded = FoldedUpsample(convolution.out_channels, operations)
    weights = {
        "conv.weight": FoldedUpsample.fold(convolution.weight.detach()),
        "conv.bias": convolution.bias.detach(),
    }
    folded.load_state_dict(weights, assign=True)
    return folded.eval().requires_grad_(False)
