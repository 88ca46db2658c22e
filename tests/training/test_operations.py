"""The fast GroupNorm is a GroupNorm."""

import pytest
import torch
from torch import nn

from codeformer_core.training.operations import ChannelsLastGroupNorm, normalise_in_layout


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_values_and_gradients_equal_the_plain_layer(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    plain, fast = nn.GroupNorm(4, 16, eps=1e-6), ChannelsLastGroupNorm(4, 16, eps=1e-6)
    nn.init.normal_(plain.weight)
    nn.init.normal_(plain.bias)
    fast.load_state_dict(plain.state_dict())
    data = 3 * torch.randn(2, 16, 5, 7) + 1
    direction = torch.randn(2, 16, 5, 7).to(memory_format=memory_format)
    results = []
    for layer in (plain, fast):
        x = data.to(memory_format=memory_format).requires_grad_()
        y = layer(x)
        y.backward(direction)
        assert x.grad is not None
        results.append((y, x.grad, layer.weight.grad, layer.bias.grad))
    for wanted, got in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_for_gpus_is_the_native_one(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (2 * torch.randn(2, 16, 9, 7) + 3).to(dtype).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(16), torch.randn(16)
    ours = normalise_in_layout(x, weight, bias, 4, 1e-6)
    native = torch.native_group_norm(x.float(), weight, bias, 2, 16, 63, 4, 1e-6)
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    for got, wanted in zip(ours, native, strict=True):
        torch.testing.assert_close(got.float(), wanted, atol=tolerance, rtol=tolerance)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)
    assert ours[0].dtype == dtype


def test_works_under_bf16_autocast() -> None:
    layer = ChannelsLastGroupNorm(4, 16)
    x = torch.randn(2, 16, 4, 4).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().square().mean().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
