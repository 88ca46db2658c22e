"""What a row of the registry of models is made of: how a file is recognised, and how it is built.

It lies below the networks it serves, so that each can say in its own file how it is recognised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from ..errors import CheckpointError
from ..networks.layers import Operations
from .reader import State, WeightFile

Fits = Callable[[WeightFile], bool]
"""Whether a file is of a kind, from its keys and shapes."""
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Target:
    """How a network is wanted."""

    operations: Operations = nn
    """Where layer classes come from: `torch.nn`, or a host's casting layers."""
    device: torch.device | str = "cpu"
    """Where its weights go."""
    dtype: torch.dtype | None = None
    """Their type; None keeps the file's own."""


def has_keys(*beginnings: str) -> Fits:
    """Fits files in which keys begin in each of these ways."""
    return lambda file: all(
        any(key.startswith(start) for key in file.state) for start in beginnings
    )


def any_of(*layouts: Fits) -> Fits:
    """Fits files that one of these fits."""
    return lambda file: any(fits(file) for fits in layouts)


def filled(network: Network, state: State, target: Target) -> Network:
    """Give a network the tensors of a file, strictly, for inference.

    A network on the meta device takes the very tensors, after their shapes were compared.

    Raises:
        CheckpointError: they do not fit.
    """
    is_empty = any(weights.is_meta for weights in network.parameters())
    try:
        network.load_state_dict(state, strict=True, assign=is_empty)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"does not fit its network ({reason}); get it again") from error
    return network.to(target.device, target.dtype).eval().requires_grad_(False)
