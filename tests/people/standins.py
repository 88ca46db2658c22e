"""Small stand-ins for what is learnt of people."""

import torch

from codeformer_core.networks import CodeFormer
from codeformer_core.networks.low_rank import LowRank, adapted_layers
from codeformer_core.people.adapters import Adapter
from codeformer_core.people.bases import base_sample


def adapter_for(network: CodeFormer, seed: int = 0) -> Adapter:
    """Random changes of every layer that may change."""
    drawn = torch.Generator().manual_seed(seed)
    changes = {
        name: LowRank(
            0.1 * torch.randn(2, layer.weight[0].numel(), generator=drawn),
            0.1 * torch.randn(len(layer.weight), 2, generator=drawn),
        )
        for name, layer in adapted_layers(network)
    }
    descriptors = torch.randn(3, 128, generator=drawn)
    about = {"base": "tiny", "photos": "3"}
    return Adapter(changes, base_sample(network), descriptors, about, "anna")
