"""Networks come out of files as they went in, or an error says what the file is."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from codeformer_core.checkpoints import save_network, write_state
from codeformer_core.errors import CheckpointError, MissingModelError, SettingError
from codeformer_core.models import load_codeformer, load_network, load_vqgan, network_from_state
from codeformer_core.models.load import find_restorer
from codeformer_core.networks import VQGAN, CodeFormer

State = dict[str, torch.Tensor]


@pytest.mark.parametrize("file", ["safetensors_file", "archive_file", "legacy_file"])
def test_a_loaded_network_restores_as_the_saved_one(
    file: str, tiny_codeformer: CodeFormer, request: pytest.FixtureRequest
) -> None:
    network = load_network(request.getfixturevalue(file))
    crops = torch.rand(2, 3, 64, 64) * 2 - 1
    assert network.config == tiny_codeformer.config
    assert torch.equal(network(crops, fidelity=0.7), tiny_codeformer(crops, fidelity=0.7))


def test_a_loaded_network_is_for_inference(safetensors_file: Path) -> None:
    network = load_codeformer(safetensors_file)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("file", ["safetensors_file", "archive_file", "legacy_file"])
def test_weights_are_cast_on_the_way(
    file: str, dtype: torch.dtype, request: pytest.FixtureRequest
) -> None:
    network = load_network(request.getfixturevalue(file), dtype=dtype)
    assert {tensor.dtype for tensor in network.state_dict().values()} == {dtype}


def test_the_files_own_type_is_kept_unless_no_network_runs_in_it(
    published_state: State, tmp_path: Path
) -> None:
    half = {key: tensor.half() for key, tensor in published_state.items()}
    double = {key: tensor.double() for key, tensor in published_state.items()}
    mixed = {**half, "position_emb": published_state["position_emb"]}
    kept = [
        load_network(write_state(tmp_path / "m.safetensors", state)).position_emb.dtype
        for state in (half, double, mixed)
    ]
    assert kept == [torch.float16, torch.float32, torch.float32]


def test_weights_of_an_uncast_file_stay_mapped_and_are_not_copied(safetensors_file: Path) -> None:
    network = load_network(safetensors_file)
    attention = network.ft_layers[0].self_attn
    storages = {part.weight.untyped_storage().data_ptr() for part in attention.children()}
    # query, key and value are views of the packed matrix, out is its own
    assert len(storages) <= 2


def test_a_loaded_network_survives_its_file(safetensors_file: Path) -> None:
    network = load_network(safetensors_file)
    expected = network.position_emb.clone()
    safetensors_file.unlink()
    assert torch.equal(network.position_emb, expected)


def test_layers_come_from_the_operations(safetensors_file: Path) -> None:
    class Linear(nn.Linear):
        pass

    operations = SimpleNamespace(
        Linear=Linear,
        Conv2d=nn.Conv2d,
        GroupNorm=nn.GroupNorm,
        LayerNorm=nn.LayerNorm,
        Embedding=nn.Embedding,
    )
    network = load_network(safetensors_file, operations=operations)
    assert type(network.feat_emb) is Linear


def test_an_autoencoder_comes_back(tiny_codeformer: CodeFormer, tmp_path: Path) -> None:
    autoencoder = VQGAN(tiny_codeformer.config.vqgan).eval()
    path = save_network(tmp_path / "stage1.safetensors", autoencoder)
    loaded = load_vqgan(path)
    crops = torch.rand(1, 3, 64, 64) * 2 - 1
    assert loaded.config == autoencoder.config
    with torch.no_grad():
        assert torch.equal(loaded(crops), autoencoder(crops))


def test_a_state_in_memory_is_not_changed(
    published_state: State, tiny_codeformer: CodeFormer
) -> None:
    keys = list(published_state)
    network = network_from_state(published_state, dtype=torch.bfloat16)
    assert list(published_state) == keys
    assert network.config == tiny_codeformer.config


def test_a_missing_key_is_named(published_state: State, tmp_path: Path) -> None:
    del published_state["feat_emb.weight"], published_state["generator.blocks.2.norm.bias"]
    path = write_state(tmp_path / "cut.safetensors", published_state)
    with pytest.raises(
        CheckpointError, match=r"cut\.safetensors.*2 keys missing, first 'generator"
    ):
        load_network(path)


def test_a_key_too_many_is_named(published_state: State, tmp_path: Path) -> None:
    published_state["extra.weight"] = torch.zeros(3)
    path = write_state(tmp_path / "more.safetensors", published_state)
    with pytest.raises(CheckpointError, match=r"1 keys unexpected, first 'extra\.weight'"):
        load_network(path)


def test_a_key_of_another_shape_is_named_with_both(published_state: State, tmp_path: Path) -> None:
    published_state["feat_emb.bias"] = torch.zeros(63)
    path = write_state(tmp_path / "odd.safetensors", published_state)
    with pytest.raises(CheckpointError, match=r"feat_emb\.bias \(63,\) instead of \(64,\)"):
        load_network(path)


def test_whole_numbers_are_refused(published_state: State, tmp_path: Path) -> None:
    quantised = {key: tensor.to(torch.int8) for key, tensor in published_state.items()}
    path = write_state(tmp_path / "int8.safetensors", quantised)
    with pytest.raises(CheckpointError, match=r"int8\.safetensors.*not floating point"):
        load_network(path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(
    value: float, published_state: State, tmp_path: Path
) -> None:
    published_state["feat_emb.weight"][3, 4] = value
    path = write_state(tmp_path / "nan.safetensors", published_state)
    with pytest.raises(CheckpointError, match=r"nan\.safetensors: .*'feat_emb\.weight' holds NaN"):
        load_network(path)


def test_large_finite_weights_pass(published_state: State, tmp_path: Path) -> None:
    # Their sum is not finite, they are.
    published_state["feat_emb.bias"][:] = 3e38
    path = write_state(tmp_path / "large.safetensors", published_state)
    assert load_network(path).feat_emb.bias[0] == 3e38


def test_an_overflow_of_the_type_names_the_remedy(published_state: State, tmp_path: Path) -> None:
    published_state["feat_emb.weight"][3, 4] = 1e6
    path = write_state(tmp_path / "large.safetensors", published_state)
    with pytest.raises(CheckpointError, match=r"too large for torch\.float16; load it as bfloat16"):
        load_network(path, dtype=torch.float16)
    assert load_network(path, dtype=torch.bfloat16)


def test_a_stage_one_file_is_named(tiny_codeformer: CodeFormer, tmp_path: Path) -> None:
    path = save_network(tmp_path / "stage1.pth", VQGAN(tiny_codeformer.config.vqgan))
    with pytest.raises(CheckpointError, match=r"stage1\.pth: is a stage I VQGAN, not a CodeFormer"):
        load_codeformer(path)


def test_a_foreign_file_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "RealESRGAN.pth"
    keys = ("conv_first.weight", "body.0.rdb1.conv1.weight")
    torch.save({"params_ema": {key: torch.zeros(1) for key in keys}}, path)
    with pytest.raises(CheckpointError, match=r"RealESRGAN\.pth: is an ESRGAN.*upscale_model"):
        load_codeformer(path)


def test_a_known_file_that_is_not_there_comes_with_its_download(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"run: codeformer download codeformer\.pth"):
        load_codeformer(tmp_path / "codeformer.pth")


def test_an_unknown_name_comes_with_the_choices() -> None:
    with pytest.raises(MissingModelError, match=r"builtin, builtin_colorization, codeformer\.pth"):
        find_restorer("sharper.pth")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int8])
def test_types_networks_do_not_run_in_are_refused(
    dtype: torch.dtype, safetensors_file: Path
) -> None:
    with pytest.raises(SettingError, match="float32, float16, bfloat16"):
        load_codeformer(safetensors_file, dtype=dtype)


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_devices_that_are_not_there_are_named(device: str, safetensors_file: Path) -> None:
    with pytest.raises(SettingError, match=device):
        load_codeformer(safetensors_file, device=device)


@pytest.mark.extended
def test_a_published_inpainting_file_loads_with_no_user_help(tmp_path: Path) -> None:
    peer = pytest.importorskip("spandrel_extra_arches.architectures.CodeFormer")
    published = peer.CodeFormer(codebook_size=512, connect_list=["32", "64", "128"]).state_dict()
    path = tmp_path / "codeformer_inpainting.pth"
    torch.save({"params_ema": published}, path)
    network = load_codeformer(path)
    assert (network.size, network.config.variant) == (512, "inpainting")
    query = network.ft_layers[8].self_attn.q.weight
    assert torch.equal(query, published["ft_layers.8.self_attn.in_proj_weight"][:512])
