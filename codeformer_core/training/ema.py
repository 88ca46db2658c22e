"""Exponential moving average of a network's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class EMA(Generic[Network]):
    """Exponential moving average of what is trained of a network; the rest is as it is.

    A codebook is an average already, and a frozen generator does not move.

    Args:
        network: to be averaged, in place from then on.
        decay: share of the average that stays each step.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._averaged = self._pairs(network, trained=True)
        self._copied = self._pairs(network, trained=False)

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the network's present weights; fast at first, so that no start sticks."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(*self._averaged, 1 - decay)  # pyright: ignore
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)  # pyright: ignore

    def _pairs(self, network: Network, trained: bool) -> tuple[list[Tensor], list[Tensor]]:
        """Averages and the weights they follow."""
        averages, weights = self.network.state_dict(), network.state_dict()
        moving = {name for name, weight in network.named_parameters() if weight.requires_grad}
        names = [name for name in averages if (name in moving) is trained]
        return [averages[name] for name in names], [weights[name] for name in names]
