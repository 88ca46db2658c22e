"""A face that float16 cannot hold is restored in float32."""

import copy

import pytest
import torch
from torch import Tensor

from codeformer_core.networks import CodeFormer


@pytest.fixture
def crops(tiny_codeformer: CodeFormer) -> Tensor:
    """Two random faces in -1..1."""
    generator = torch.Generator().manual_seed(3)
    side = tiny_codeformer.size
    return torch.rand(2, 3, side, side, generator=generator) * 2 - 1


def half_with_large(network: CodeFormer, name: str) -> CodeFormer:
    """A float16 copy, one layer of which leaves the range."""
    half = copy.deepcopy(network).half()
    half.get_parameter(name).data.fill_(60_000)
    return half


def test_encoding_is_repeated_in_float32(tiny_codeformer: CodeFormer, crops: Tensor) -> None:
    half = half_with_large(tiny_codeformer, "encoder.blocks.0.weight")
    wanted = copy.deepcopy(half).float().encode(crops)
    with pytest.warns(RuntimeWarning, match="float16 is too small"):
        got = half.encode(crops)
        # What comes out wide must still go into the narrow generator.
        assert half.decode(got, 0.7).isfinite().all()
    torch.testing.assert_close(got.logits, wanted.logits)
    assert wanted.logits.isfinite().all()


def test_decoding_is_repeated_in_float32(tiny_codeformer: CodeFormer, crops: Tensor) -> None:
    half = half_with_large(tiny_codeformer, "generator.blocks.0.weight")
    codes = copy.deepcopy(tiny_codeformer).half().encode(crops)
    wanted = copy.deepcopy(half).float().decode(codes, 0.0)
    with pytest.warns(RuntimeWarning, match="float16 is too small"):
        got = half.decode(codes, 0.0)
    torch.testing.assert_close(got, wanted)
    assert wanted.isfinite().all()


def test_weights_come_back_untouched(tiny_codeformer: CodeFormer, crops: Tensor) -> None:
    half = half_with_large(tiny_codeformer, "encoder.blocks.0.weight")
    before = [parameter.data_ptr() for parameter in half.parameters()]
    with pytest.warns(RuntimeWarning):
        half(crops)
    assert half.dtype == torch.float16
    assert [parameter.data_ptr() for parameter in half.parameters()] == before
