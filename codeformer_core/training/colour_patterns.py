"""Keep the generator from drawing patterns of single pixels in colour.

A last layer that gives the pixels of a patch apart learns checkerboards and stripes where the
truth is uncertain (lips above all); L_1 and L_per hardly see them, and an enlarged face shows them.
So the pixels of a patch differ in lightness alone, as in pictures stored with half the colour
resolution.
"""

import torch
from torch import nn


@torch.no_grad()
def remove_colour_patterns(layer: nn.Module, patch: int) -> None:
    """Give the pixels of a patch one colour, by the layer's weights, in place.

    Args:
        layer: the generator's last, a convolution whose 3 * patch * patch numbers a pixel shuffle
            spreads.
        patch: side of the patches.
    """
    for weights in layer.parameters():
        planes = weights.unflatten(0, (3, patch * patch))
        colours = planes - planes.mean(0, keepdim=True)
        planes -= colours - colours.mean(1, keepdim=True)
