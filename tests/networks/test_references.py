"""Conditioning the generator on whom a face shows."""

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.networks import CodeFormer
from codeformer_core.networks.references import ReferenceConditioning

SIDES = (16, 32)


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def descriptors() -> Tensor:
    return torch.randn(2, 128, generator=torch.Generator().manual_seed(2)) / 10


def test_it_begins_as_no_change(
    tiny_codeformer: CodeFormer, crops: Tensor, descriptors: Tensor
) -> None:
    conditioning = ReferenceConditioning.of(tiny_codeformer.config, SIDES)
    codes = tiny_codeformer.encode(crops)
    for weight in (None, torch.ones(1, 1, 1, 1)):
        plain = tiny_codeformer.generate(codes, weight)
        refined = tiny_codeformer.generate(
            codes, weight, refinements=conditioning.refinements(descriptors)
        )
        torch.testing.assert_close(refined, plain, rtol=0, atol=0)


def test_a_descriptor_reaches_the_pixels_of_its_face_alone(
    tiny_codeformer: CodeFormer, crops: Tensor, descriptors: Tensor
) -> None:
    conditioning = ReferenceConditioning.of(tiny_codeformer.config, SIDES)
    for modulation in conditioning.sides.values():
        nn.init.normal_(modulation.get_parameter("out.weight"), std=0.1)
    codes = tiny_codeformer.encode(crops)

    def drawn(descriptors: Tensor) -> Tensor:
        refinements = conditioning.refinements(descriptors)
        return tiny_codeformer.generate(codes, torch.ones(1, 1, 1, 1), refinements=refinements)

    other = torch.stack([descriptors[0], -descriptors[1]])
    before, after = drawn(descriptors).detach(), drawn(other).detach()
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3
    drawn(descriptors).square().mean().backward()
    for name, parameter in conditioning.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
