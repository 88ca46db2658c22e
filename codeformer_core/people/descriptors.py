"""Descriptors of many faces: what the identity network says of each."""

import torch
from torch import Tensor

from ..metrics import IdentityNetwork
from ..networks.identity import DESCRIPTOR_LENGTH
from ..runtime import Runtime


def describe_crops(
    crops: Tensor, identity: IdentityNetwork, *, runtime: Runtime | None = None
) -> Tensor:
    """Describe aligned faces.

    Args:
        crops: (N, S, S, 3) RGB in 0..1, aligned to the five-point template, any S.
        identity: the network that tells people apart.
        runtime: where it runs and progress goes, counted in faces.

    Returns:
        (N, 128) float32 on the CPU.

    Raises:
        OutOfMemoryError: there is no room even for one face.
        SettingError: crops of another shape.
    """
    runtime, side = runtime or Runtime(), crops.shape[1]
    batches = runtime.batches(
        identity,
        len(crops),
        lambda part: identity.embed(crops[part].to(runtime.device(identity))).float().cpu(),
        bytes_per_item=identity.bytes_per_pair(side, side),
    )
    found = [descriptors for _, descriptors in batches]
    return torch.cat(found) if found else torch.zeros(0, DESCRIPTOR_LENGTH)
