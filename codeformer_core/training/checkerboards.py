"""Keep the generator from drawing checkerboards of single pixels in colour.

A last layer that gives the pixels of a patch apart learns such a pattern where the truth is
uncertain (lips above all); L_1 and L_per hardly see it, and an enlarged face shows it. In pictures
of faces the colour, unlike the lightness, does not alternate from pixel to pixel.
"""

import torch
from torch import nn


@torch.no_grad()
def remove_colour_checkerboards(layer: nn.Module, patch: int) -> None:
    """Take the alternation of colour inside a patch out of the layer's weights, in place.

    Args:
        layer: the generator's last, a convolution whose 3 * patch * patch numbers a pixel shuffle
            spreads.
        patch: side of the patches; nothing is done where it is odd.
    """
    if patch % 2:
        return
    for weights in layer.parameters():
        places = torch.arange(patch, device=weights.device)
        # 1 and -1 like the fields of a chessboard
        signs = (1 - 2 * ((places + places[:, None]) % 2)).flatten().to(weights)
        planes = weights.unflatten(0, (3, patch * patch))
        alternation = torch.einsum("cp...,p->c...", planes, signs) / patch**2
        planes -= torch.einsum("c...,p->cp...", alternation - alternation.mean(0), signs)
