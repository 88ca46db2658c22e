"""Distances that a network measures, of as many pairs at once as the memory holds."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from ..images import resize
from ..runtime import Runtime


class Distance(Protocol):
    """An `nn.Module` that compares pictures pair by pair."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Its weights; every `nn.Module` has them."""
        ...

    def bytes_per_pair(self, height: int, width: int) -> float:
        """Memory that the activations of one pair of pictures of a size take."""
        ...

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Two (N, H, W, 3) in 0..1 to (N,)."""
        ...


def distances(
    network: Distance,
    first: Tensor,
    second: Tensor,
    *,
    size: tuple[int, int] | None = None,
    runtime: Runtime | None = None,
) -> Tensor:
    """Compare pictures pair by pair.

    Args:
        network: compares them.
        first: (N, H, W, 3) in 0..1.
        second: the same shape.
        size: rows and columns at which the network sees them; None takes their own.
        runtime: where the network runs and progress goes, counted in pairs.

    Returns:
        (N,) on the CPU.

    Raises:
        OutOfMemoryError: there is no room even for one pair.
    """
    runtime = runtime or Runtime()
    height, width = size or (int(first.shape[1]), int(first.shape[2]))
    device = runtime.device(network)

    def measure(part: slice) -> Tensor:
        pair = (resize(each[part], height, width).to(device) for each in (first, second))
        return network.distance(*pair).cpu()

    measured = runtime.batches(
        network,
        len(first),
        measure,
        bytes_per_item=network.bytes_per_pair(height, width),
        item="pair of pictures",
    )
    return torch.cat([torch.empty(0), *(values for _, values in measured)])
