"""The rename table works both ways."""

import torch

from codeformer_core.checkpoints.names import from_published, to_published
from codeformer_core.networks import CodeFormer


def test_names_come_back_after_both_directions(tiny_codeformer: CodeFormer) -> None:
    ours = dict(tiny_codeformer.state_dict())
    back = from_published(to_published(ours))
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[key], ours[key]) for key in ours)


def test_query_key_and_value_are_the_thirds_of_the_packed_matrix() -> None:
    packed = torch.arange(18.0).reshape(6, 3)
    parts = from_published({"ft_layers.3.self_attn.in_proj_weight": packed})
    assert list(parts) == [f"ft_layers.3.self_attn.{part}.weight" for part in "qkv"]
    assert torch.equal(parts["ft_layers.3.self_attn.k.weight"], packed[2:4])


def test_both_directions_leave_their_own_names_alone(
    tiny_codeformer: CodeFormer, published_state: dict[str, torch.Tensor]
) -> None:
    assert from_published(dict(tiny_codeformer.state_dict())).keys() == (
        tiny_codeformer.state_dict().keys()
    )
    assert to_published(published_state).keys() == published_state.keys()


def test_splitting_copies_nothing() -> None:
    packed = torch.zeros(6, 3)
    parts = from_published({"ft_layers.0.self_attn.in_proj_weight": packed})
    storages = {part.untyped_storage().data_ptr() for part in parts.values()}
    assert storages == {packed.untyped_storage().data_ptr()}


def test_the_spatial_attention_of_the_autoencoder_keeps_its_names() -> None:
    state = {"encoder.blocks.17.q.weight": torch.zeros(3, 3, 1, 1)}
    assert to_published(state).keys() == state.keys() == from_published(state).keys()
