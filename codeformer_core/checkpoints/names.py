"""The one table between the published key names and the names of our networks.

The published transformer packs query, key and value into one matrix. Ours keeps them apart, so that
a memory manager can move and cast each layer by itself. Everything else has the same name.
"""

import torch

from .reader import State

SPLIT = {
    "self_attn.in_proj_weight": (
        "self_attn.q.weight",
        "self_attn.k.weight",
        "self_attn.v.weight",
    ),
    "self_attn.in_proj_bias": ("self_attn.q.bias", "self_attn.k.bias", "self_attn.v.bias"),
}
"""Published key ending -> endings of the parts it is cut into, along dimension 0, in order."""
RENAMED = {
    "self_attn.out_proj.weight": "self_attn.out.weight",
    "self_attn.out_proj.bias": "self_attn.out.bias",
}
"""Published key ending -> our ending."""


def from_published(state: State) -> State:
    """Published names to ours; names that are ours already stay.

    The parts are views of the packed matrix, so nothing is copied.
    """
    renamed: State = {}
    for key, tensor in state.items():
        head, ending = _cut(key)
        if ending in SPLIT and tensor.ndim and tensor.shape[0] % 3 == 0:
            parts = tensor.chunk(3, dim=0)
            renamed.update(zip((head + part for part in SPLIT[ending]), parts, strict=True))
        else:
            renamed[head + RENAMED.get(ending, ending)] = tensor
    return renamed


def to_published(state: State) -> State:
    """Our names to the published ones; published names stay."""
    packed_endings = {parts[0]: (packed, parts) for packed, parts in SPLIT.items()}
    later_parts = {part for parts in SPLIT.values() for part in parts[1:]}
    backwards = {ours: published for published, ours in RENAMED.items()}
    published: State = {}
    for key, tensor in state.items():
        head, ending = _cut(key)
        if ending in packed_endings:
            packed, parts = packed_endings[ending]
            published[head + packed] = torch.cat([state[head + part] for part in parts])
        elif ending not in later_parts:
            published[head + backwards.get(ending, ending)] = tensor
    return published


def _cut(key: str) -> tuple[str, str]:
    """Cut `ft_layers.0.self_attn.q.weight` before `self_attn`."""
    head, mark, tail = key.partition("self_attn.")
    return (head, mark + tail) if mark else ("", key)
