"""Networks made fast for inference compute what they computed before."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.errors import SettingError
from codeformer_core.images import resize, to_network
from codeformer_core.models import BUILTIN, load_codeformer
from codeformer_core.models.load import find_restorer, load_network
from codeformer_core.networks import CodeFormer, prepare_for_inference
from codeformer_core.networks.layers import FoldedUpsample, Upsample
from codeformer_core.runtime import fastest_dtype


def test_folded_upsampling_is_the_same_map() -> None:
    torch.manual_seed(0)
    upsample, folded = Upsample(5), FoldedUpsample(5)
    with torch.no_grad():
        folded.conv.weight.copy_(FoldedUpsample.fold(upsample.conv.weight))
        folded.conv.bias.copy_(upsample.conv.bias)
        features = torch.randn(2, 5, 7, 6)
        torch.testing.assert_close(folded(features), upsample(features), atol=1e-5, rtol=1e-5)


def test_prepared_network_gives_the_same_faces(tiny_codeformer: CodeFormer) -> None:
    prepared = prepare_for_inference(copy.deepcopy(tiny_codeformer))
    upsampling = len(tiny_codeformer.config.vqgan.multipliers) - 1
    folded = [module for module in prepared.modules() if isinstance(module, FoldedUpsample)]
    assert len(folded) == upsampling
    crops = torch.rand(2, 3, tiny_codeformer.size, tiny_codeformer.size) * 2 - 1
    for fidelity in (0.0, 0.6):
        wanted = tiny_codeformer(crops, fidelity)
        torch.testing.assert_close(prepared(crops, fidelity), wanted, atol=1e-4, rtol=1e-4)


def test_gradients_still_flow_through_the_plain_network(tiny_codeformer: CodeFormer) -> None:
    network = copy.deepcopy(tiny_codeformer).requires_grad_(True)
    crops = torch.rand(1, 3, network.size, network.size) * 2 - 1
    network(crops, 0.5).square().mean().backward()
    assert network.encoder.get_parameter("blocks.0.weight").grad is not None


def test_prepared_network_is_not_saved(tmp_path: Path) -> None:
    target = tmp_path / "copy.safetensors"
    with pytest.raises(SettingError, match="load_network"):
        save_network(target, load_codeformer(BUILTIN))
    assert not target.exists()
    save_network(target, load_network(find_restorer(BUILTIN)))
    assert target.exists()


def test_bfloat16_keeps_a_face_of_the_built_in_model(astronaut: Tensor) -> None:
    face = resize(astronaut[None, 50:210, 150:310], 32, 32)  # blurred: there is work to do
    crops = to_network(resize(face, 256, 256))
    exact = load_codeformer(BUILTIN)
    small = load_codeformer(BUILTIN, dtype=torch.bfloat16)
    wanted, got = (network(crops, 0.5).clamp(-1, 1) for network in (exact, small))
    mean_square = (wanted - got).square().mean()
    assert 10 * torch.log10(4 / mean_square) > 40  # dB


def test_fastest_type_is_one_the_network_runs_in() -> None:
    assert fastest_dtype("cpu") in (torch.float32, torch.bfloat16)
    assert fastest_dtype("meta") == torch.float32
