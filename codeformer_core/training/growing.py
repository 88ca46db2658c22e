"""Begin a larger network as a smaller one that has been trained."""

from collections import Counter
from typing import TypeVar

import torch
from torch import nn

from ..networks import VQGAN, CodeFormer
from ..networks.layers import Downsample, ResidualBlock, SpatialAttention, Upsample

PARTS = ("encoder", "generator")
KINDS = (ResidualBlock, SpatialAttention, Downsample, Upsample)
Network = TypeVar("Network", VQGAN, CodeFormer)
Role = tuple[int, str, int]
"""Of a block: its level, counted from the codes outwards, its kind, and which of these it is."""


@torch.no_grad()
def grow(network: Network, small: Network) -> list[str]:
    """Take over what fits of a network of half the size, or of the same with fewer blocks.

    Levels are counted from the codes outwards: the outer levels of the larger network are new, and
    the stem of the smaller one falls away. What is new within the levels of both begins as no
    change at all, and so do fusions.

    Args:
        network: the larger one, changed in place.
        small: the other one.

    Returns:
        Names of the tensors that are still new.
    """
    mine, moved = network.state_dict(), _moved_blocks(network, small)
    taken = {
        f"{moved.get(block, block)}{rest}": tensor
        for name, tensor in small.state_dict().items()
        for block, rest in [_divided(name)]
        if block in moved or not rest
    }
    taken = {k: v for k, v in taken.items() if k in mine and v.shape == mine[k].shape}
    for block in _further_blocks(network, small):
        _zero(block.conv2)
    if isinstance(network, CodeFormer):
        quiet_fusions(network)
    network.load_state_dict({**network.state_dict(), **taken})
    return sorted(set(mine) - set(taken))


def _divided(name: str) -> tuple[str, str]:
    """A block and the rest of the name: encoder.blocks.3 and .conv1.weight; else the name alone."""
    part, _, rest = name.partition(".blocks.")
    number, _, tensor = rest.partition(".")
    return (f"{part}.blocks.{number}", f".{tensor}") if part in PARTS else (name, "")


def _moved_blocks(network: Network, small: Network) -> dict[str, str]:
    """The smaller network's blocks that the larger one has, and what they are called there."""
    names = {
        (part, role): f"{part}.blocks.{place}"
        for part in PARTS
        for role, place in _places(network, part).items()
    }
    return {
        f"{part}.blocks.{place}": names[part, role]
        for part in PARTS
        for role, place in _places(small, part).items()
        if (part, role) in names
    }


def _further_blocks(network: Network, small: Network) -> list[ResidualBlock]:
    """The generator's residual blocks in levels of both which the smaller one has not."""
    known = _places(small, "generator")
    levels = {level for level, _, _ in known}
    blocks = network.generator.blocks
    return [
        block
        for role, place in _places(network, "generator").items()
        if role not in known and role[0] in levels
        if isinstance(block := blocks[place], ResidualBlock)
    ]


def _places(network: Network, part: str) -> dict[Role, int]:
    """Where in its list each block of the encoder or the generator stands."""
    blocks = list(enumerate(getattr(network, part).blocks))
    if part == "encoder":
        blocks.reverse()
    places: dict[Role, int] = {}
    seen, level = Counter[tuple[int, str]](), 0
    for place, block in blocks:
        kind = next((each.__name__ for each in KINDS if isinstance(block, each)), "")
        level += isinstance(block, Downsample | Upsample)
        places[level, kind, seen[level, kind]] = place
        seen[level, kind] += 1
    return places


@torch.no_grad()
def quiet_fusions(network: CodeFormer) -> None:
    """Let the fusions start as no change at all."""
    for fusion in network.fuse_convs_dict.values():
        for part in ("scale", "shift"):
            _zero(fusion.get_submodule(f"{part}.2"))


def _zero(convolution: nn.Module) -> None:
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
