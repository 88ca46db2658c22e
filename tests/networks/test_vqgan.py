"""The autoencoder: shapes, the nearest code, and a lookup that is a lookup."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from codeformer_core.errors import SettingError
from codeformer_core.networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig


def test_nearest_code_is_nearest(tiny_config: CodeFormerConfig) -> None:
    torch.manual_seed(0)
    network = VQGAN(tiny_config.vqgan)
    latents = torch.randn(2, 32, 16, 16)
    vectors = latents.permute(0, 2, 3, 1).reshape(2, 256, 32)
    by_brute_force = torch.cdist(vectors, network.quantize.embedding.weight[None]).argmin(2)
    assert torch.equal(network.quantize.nearest(latents), by_brute_force)


def test_lookup_puts_each_code_in_its_place(tiny_config: CodeFormerConfig) -> None:
    network = VQGAN(tiny_config.vqgan)
    codes = torch.arange(256).remainder(64)[None]
    features = network.quantize.lookup(codes, 16)
    row, column = 3, 5
    expected = network.quantize.embedding.weight[(row * 16 + column) % 64]
    assert torch.equal(features[0, :, row, column], expected)


def test_codes_of_looked_up_codes_are_the_same(tiny_config: CodeFormerConfig) -> None:
    network = VQGAN(tiny_config.vqgan)
    codes = torch.randint(64, (2, 256))
    assert torch.equal(network.quantize.nearest(network.quantize.lookup(codes, 16)), codes)


def test_stem_folds_and_unfolds_pixels() -> None:
    for patch in (1, 2, 4):
        config = VQGANConfig(64, 32, (1, 2), 1, (), 16, 32, patch)
        network = VQGAN(config)
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)
        assert network.encode(torch.zeros(1, 3, 64, 64))[1].shape == (1, (32 // patch) ** 2)


def test_narrow_norms_keep_the_brightness() -> None:
    published = VQGANConfig(64, 32, (1, 2), 1, (), 16, 32)
    torch.manual_seed(0)
    for config, kept in ((published, False), (replace(published, narrow_norm_groups=8), True)):
        network = CodeFormer(CodeFormerConfig(config, width=32, layers=1, fusion_sizes=(64,)))
        norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
        assert all(norm.num_channels // norm.num_groups >= 2 for norm in norms) is kept
        dark = torch.rand(1, 32, 8, 8)
        bright = dark + torch.rand(1, 32, 1, 1)
        norm = network.generator.blocks[-2]
        assert torch.allclose(norm(dark), norm(bright), atol=1e-3) is not kept
    with pytest.raises(SettingError, match="narrow_norm_groups must divide 32"):
        replace(published, narrow_norm_groups=5)
