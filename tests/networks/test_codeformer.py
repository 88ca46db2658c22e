"""The networks: agreement with an independent implementation, and what fidelity must do."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from codeformer_core.checkpoints.names import from_published
from codeformer_core.errors import SettingError
from codeformer_core.networks import CodeFormer, CodeFormerConfig, VQGANConfig

VARIANTS = {
    "restoration": (1024, (32, 64, 128, 256)),
    "inpainting": (512, (32, 64, 128)),
    "colorization": (1024, (32, 64, 128)),
}


def independent_codeformer(codebook_size: int, fusion_sizes: tuple[int, ...]) -> Any:
    """`spandrel_extra_arches`' CodeFormer with random weights that do something everywhere."""
    from spandrel_extra_arches.architectures.CodeFormer import CodeFormer as Independent

    torch.manual_seed(1)
    network = Independent(
        codebook_size=codebook_size, connect_list=[str(size) for size in fusion_sizes]
    )
    torch.nn.init.normal_(network.position_emb)
    return network.eval().requires_grad_(False)


@pytest.mark.extended
@pytest.mark.parametrize("variant", VARIANTS)
def test_agrees_with_independent_implementation(variant: str) -> None:
    codebook_size, fusion_sizes = VARIANTS[variant]
    reference = independent_codeformer(codebook_size, fusion_sizes)
    vqgan = VQGANConfig(codebook_size=codebook_size)
    config = CodeFormerConfig(vqgan, fusion_sizes=fusion_sizes, variant=variant)
    with torch.device("meta"):
        network = CodeFormer(config).eval()
    network.load_state_dict(from_published(reference.state_dict()), assign=True)
    crops = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.inference_mode():
        face_codes = network.encode(crops)
        for fidelity in (0.0, 0.3, 1.0):
            wanted = reference(crops, weight=fidelity)[0]
            got = network.decode(face_codes, fidelity, adain=True)
            assert wanted.std() > 0.01
            torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def crops_of(network: CodeFormer, count: int) -> Tensor:
    """Random crops (count, 3, S, S) in -1..1, all different."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, 3, network.size, network.size, generator=generator) * 2 - 1


def test_fidelity_of_each_face_equals_single_runs(tiny_codeformer: CodeFormer) -> None:
    crops, fidelities = crops_of(tiny_codeformer, 3), [0.0, 0.4, 1.0]
    together = tiny_codeformer(crops, fidelity=fidelities)
    single = [
        tiny_codeformer(crop[None], fidelity=fidelity)
        for crop, fidelity in zip(crops, fidelities, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(single), atol=1e-5, rtol=1e-5)


def test_fidelity_changes_the_result_steadily(tiny_codeformer: CodeFormer) -> None:
    crops = crops_of(tiny_codeformer, 1)
    at_zero, at_half, at_one = (tiny_codeformer(crops, fidelity=f) for f in (0.0, 0.5, 1.0))
    assert (at_one - at_zero).abs().max() > 1e-2
    assert (at_half - at_zero).norm() < (at_one - at_zero).norm()


def test_zero_fidelity_runs_no_fusion(tiny_codeformer: CodeFormer) -> None:
    calls: list[str] = []
    for size, fusion in tiny_codeformer.fuse_convs_dict.items():
        fusion.register_forward_hook(lambda *_, size=size: calls.append(size))
    tiny_codeformer(crops_of(tiny_codeformer, 2), fidelity=0)
    assert calls == []
    tiny_codeformer(crops_of(tiny_codeformer, 2), fidelity=[0, 0.1])
    assert sorted(calls) == ["16", "32"]


def test_zero_fidelity_ignores_encoder_features(tiny_codeformer: CodeFormer) -> None:
    face_codes = tiny_codeformer.encode(crops_of(tiny_codeformer, 2))
    expected = tiny_codeformer.decode(face_codes, fidelity=0)
    for features in face_codes.features.values():
        features.fill_(float("nan"))
    assert torch.equal(tiny_codeformer.decode(face_codes, fidelity=0), expected)


def test_adain_keeps_the_statistics_of_the_input(tiny_codeformer: CodeFormer) -> None:
    crops = crops_of(tiny_codeformer, 1)
    on, off, default = (tiny_codeformer(crops, fidelity=0, adain=a) for a in (True, False, None))
    assert (on - off).abs().max() > 1e-3
    assert torch.equal(on, default)  # the restoration variant's own setting


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_close(tiny_codeformer: CodeFormer, dtype: torch.dtype) -> None:
    crops = crops_of(tiny_codeformer, 2)
    codes = tiny_codeformer.encode(crops)
    expected = tiny_codeformer.decode(codes, fidelity=0.5)
    half = tiny_codeformer.to(dtype)
    result = half(crops, fidelity=0.5)
    assert result.dtype == torch.float32  # that of the crops
    agreement = (half.encode(crops).codes == codes.codes).float().mean()
    assert agreement > 0.9
    # On the same codes, so that one flipped code does not hide a wrong sum.
    difference = half.decode(codes, fidelity=0.5).float() - expected
    assert difference.abs().mean() < 0.02 * expected.std()


def test_gradients_reach_encoder_and_fusion_through_the_latents(
    tiny_config: CodeFormerConfig,
) -> None:
    network = CodeFormer(tiny_config)
    network(crops_of(network, 1), fidelity=1.0).square().mean().backward()
    for part in (network.encoder, network.fuse_convs_dict, network.generator):
        assert all(p.grad is not None and p.grad.isfinite().all() for p in part.parameters())


@pytest.mark.parametrize("fidelity", [-0.1, float("nan"), [0.5, 0.5, 0.5]])
def test_bad_fidelity_is_refused(tiny_codeformer: CodeFormer, fidelity: Any) -> None:
    with pytest.raises(SettingError, match="fidelity"):
        tiny_codeformer(crops_of(tiny_codeformer, 2), fidelity=fidelity)


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (3, 64, 64), (1, 1, 64, 64)])
def test_crops_of_another_size_are_refused(
    tiny_codeformer: CodeFormer, shape: tuple[int, ...]
) -> None:
    with pytest.raises(SettingError, match="64"):
        tiny_codeformer(torch.zeros(shape))


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 48},
        {"image_size": 100},
        {"multipliers": ()},
        {"codebook_size": 0},
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        VQGANConfig(**sizes)


def test_fusion_needs_a_level_of_its_size() -> None:
    with pytest.raises(SettingError, match="500"):
        CodeFormerConfig(fusion_sizes=(500,))


def with_temperature(network: CodeFormer, temperature: float) -> CodeFormer:
    """The same weights, of which the mean of all codes is drawn."""
    warm = CodeFormer(replace(network.config, code_temperature=temperature)).eval()
    warm.load_state_dict(network.state_dict())
    return warm.requires_grad_(False)


def test_a_temperature_draws_the_mean_of_all_codes(tiny_codeformer: CodeFormer) -> None:
    crops = crops_of(tiny_codeformer, 2)
    published = tiny_codeformer.encode(crops)
    warm = with_temperature(tiny_codeformer, 0.5).encode(crops)
    assert torch.equal(warm.codes, published.codes)
    shares = torch.softmax(warm.logits / 0.5, 2)
    place, codebook = 17, tiny_codeformer.quantize.embedding.weight
    row, column = divmod(place, warm.latents.shape[-1])
    mean = (shares[1, place, :, None] * codebook).sum(0)
    torch.testing.assert_close(warm.code_features[1, :, row, column], mean)


def test_a_low_temperature_draws_the_likeliest_code(tiny_codeformer: CodeFormer) -> None:
    crops = crops_of(tiny_codeformer, 2)
    cold = with_temperature(tiny_codeformer, 1e-40)
    for fidelity in (0.0, 0.5):
        expected = tiny_codeformer(crops, fidelity)
        torch.testing.assert_close(cold(crops, fidelity), expected, atol=1e-3, rtol=0)
    assert (with_temperature(tiny_codeformer, 0.5)(crops, 0.0) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_mean_is_taken_in_float32(tiny_codeformer: CodeFormer, dtype: torch.dtype) -> None:
    warm = with_temperature(tiny_codeformer, 0.05).to(dtype)
    logits = torch.randn(1, 256, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    shares = torch.softmax(logits.double() / 0.05, 2)
    mean = (shares @ warm.quantize.embedding.weight.double()).transpose(1, 2)
    torch.testing.assert_close(
        warm.code_features(logits).double().flatten(2), mean, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(SettingError, match="code_temperature"):
        CodeFormerConfig(code_temperature=temperature)
