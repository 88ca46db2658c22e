"""Begin a larger network as a smaller one that has been trained."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..networks import CodeFormer

ENCODER = "encoder.blocks."


@torch.no_grad()
def grow(network: CodeFormer, small: Mapping[str, Tensor]) -> list[str]:
    """Take over what fits of a network of half the size, or a quarter, or of the same.

    Levels are counted from the codes outwards: the outer levels of the larger network are new, and
    the stem of the smaller one falls away. Fusions that are new begin as no change at all.

    Args:
        network: the larger one, changed in place.
        small: tensors of the other one by our names.

    Returns:
        Names of the tensors that are still new.
    """
    mine = network.state_dict()
    more = (
        len(network.encoder.blocks)
        - 1
        - max(int(name.split(".")[2]) for name in small if name.startswith(ENCODER))
    )
    taken = {
        target: tensor
        for name, tensor in small.items()
        if (target := _counted_inwards(name, more)) in mine and tensor.shape == mine[target].shape
    }
    quiet_fusions(network)
    network.load_state_dict({**network.state_dict(), **taken})
    return sorted(set(mine) - set(taken))


def _counted_inwards(name: str, more: int) -> str:
    """Name of the same tensor in an encoder that has so many blocks more at its outer end."""
    if not more or not name.startswith(ENCODER):
        return name
    block, _, rest = name.removeprefix(ENCODER).partition(".")
    # The stem, which is number 0, has another task in the larger network.
    return f"{ENCODER}{int(block) + more}.{rest}" if int(block) else ""


@torch.no_grad()
def quiet_fusions(network: CodeFormer) -> None:
    """Let the fusions start as no change at all."""
    for fusion in network.fuse_convs_dict.values():
        for last_layer in ("scale.2", "shift.2"):
            nn.init.zeros_(fusion.get_parameter(f"{last_layer}.weight"))
            nn.init.zeros_(fusion.get_parameter(f"{last_layer}.bias"))
