"""Learning low-rank changes: beside the frozen weights of a network, switched on and off."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..networks import CodeFormer
from ..networks.low_rank import LowRank, LowRanks, adapted_layers, delta


class _Change(nn.Module):
    """Adds up @ down to a weight; at first nothing, because `up` begins as zeros."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        inputs = weight[0].numel()
        rank = min(rank, len(weight), inputs)
        self.down = nn.Parameter(torch.empty(rank, inputs, device=weight.device))
        self.up = nn.Parameter(torch.zeros(len(weight), rank, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.on = True

    def forward(self, weight: Tensor) -> Tensor:
        if not self.on:
            return weight
        return weight + delta(LowRank(self.down, self.up), weight).to(weight)


class LearntChanges:
    """The changes of a network's code prediction and fusion while they are learnt.

    Args:
        network: frozen; its layers are changed in place from then on.
        rank: of the changes.
        seed: of their first numbers.
    """

    def __init__(self, network: CodeFormer, rank: int, seed: int) -> None:
        torch.manual_seed(seed)
        network.requires_grad_(False)
        self._changes: dict[str, _Change] = {}
        for name, layer in [*adapted_layers(network)]:
            weight = layer.weight
            assert isinstance(weight, Tensor)
            self._changes[name] = change = _Change(weight, rank)
            parametrize.register_parametrization(layer, "weight", change)
            layer.parametrizations.weight.original.requires_grad_(False)  # pyright: ignore

    def parameters(self) -> list[nn.Parameter]:
        """What is learnt."""
        return [part for change in self._changes.values() for part in change.parameters()]

    def state(self) -> LowRanks:
        """Copies of the changes, on the CPU."""
        return {
            name: LowRank(
                *(getattr(change, part).detach().cpu().clone() for part in LowRank._fields)
            )
            for name, change in self._changes.items()
        }

    @torch.no_grad()
    def restore(self, changes: LowRanks) -> None:
        """Take over what `state` gave.

        Raises:
            KeyError, RuntimeError: changes of another network or rank.
        """
        for name, change in self._changes.items():
            for part in LowRank._fields:
                getattr(change, part).copy_(getattr(changes[name], part))

    @contextmanager
    def off(self) -> Iterator[None]:
        """While inside, the network is its base."""
        for change in self._changes.values():
            change.on = False
        try:
            yield
        finally:
            for change in self._changes.values():
                change.on = True
