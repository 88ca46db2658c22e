"""Moving average of a network's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class EMA(Generic[Network]):
    """Exponential moving average of a network's weights; codebooks, already averages, as they are.

    Args:
        network: to be averaged.
        decay: share of the average that stays each step.
    """

    def __init__(self, network: Network, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: Network) -> None:
        """Move towards the network's present weights; fast at first, so that no start sticks."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages = self.network.state_dict()
        for name, value in network.state_dict().items():
            if name.startswith("quantize."):
                averages[name].copy_(value)
            else:
                averages[name].lerp_(value, 1 - decay)
