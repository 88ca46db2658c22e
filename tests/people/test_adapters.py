"""Adapters: files, the model they belong to, and whose face gets which."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from codeformer_core.errors import CheckpointError, MissingModelError, SettingError
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer, prepare_for_inference
from codeformer_core.people import describe_crops
from codeformer_core.people.adapters import read_adapter, save_adapter
from codeformer_core.people.knowing import with_person
from codeformer_core.people.recogniser import Whom
from codeformer_core.people.restorer import PeopleRestorer
from tests.people.standins import adapter_for


@pytest.fixture
def crops() -> torch.Tensor:
    return 2 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) - 1


def test_a_saved_adapter_comes_back(tiny_codeformer, tmp_path):
    adapter = adapter_for(tiny_codeformer)
    read = read_adapter(save_adapter(tmp_path / "anna.safetensors", adapter))
    assert read.name == "anna"
    assert read.metadata.items() >= {"base": "tiny", "photos": "3"}.items()
    assert "agree" in read.metadata["licence"]
    for name, change in adapter.changes.items():
        torch.testing.assert_close(read.changes[name].up, change.up, atol=1e-3, rtol=1e-3)
    with pytest.raises(SettingError, match="safetensors"):
        save_adapter(tmp_path / "anna.pth", adapter)


def test_strength_goes_from_the_base_to_the_adapter(tiny_codeformer, crops):
    adapter = adapter_for(tiny_codeformer)
    before = tiny_codeformer(crops, 1.0)
    none, whole = (adapter.apply(tiny_codeformer, strength)(crops, 1.0) for strength in (0, 1))
    assert torch.equal(none, before)
    assert not torch.allclose(whole, before, atol=1e-2)
    assert torch.equal(tiny_codeformer(crops, 1.0), before)  # the base is as it was


def test_the_changes_are_what_the_formula_says(tiny_codeformer):
    adapter = adapter_for(tiny_codeformer)
    changed = adapter.apply(tiny_codeformer, 0.5)
    name = "fuse_convs_dict.32.scale.0"
    down, up = adapter.changes[name]
    weight = tiny_codeformer.get_submodule(name).weight
    expected = weight + 0.5 * (up @ down).view(weight.shape)
    torch.testing.assert_close(changed.get_submodule(name).weight, expected)


def test_models_prepared_for_inference_and_in_bfloat16_are_the_base_too(tiny_codeformer, crops):
    adapter = adapter_for(tiny_codeformer)
    expected = adapter.apply(tiny_codeformer)(crops, 0.5)
    narrow = adapter.apply(prepare_for_inference(tiny_codeformer))
    torch.testing.assert_close(narrow(crops, 0.5), expected, atol=1e-4, rtol=0)
    assert adapter.apply(tiny_codeformer.bfloat16()).dtype == torch.bfloat16


def test_what_a_host_hangs_on_a_model_stays_there(tiny_codeformer):
    tiny_codeformer.codeformer_patcher = object()
    changed = adapter_for(tiny_codeformer).apply(tiny_codeformer)
    assert "codeformer_patcher" not in vars(changed)


def test_another_base_is_refused_by_name(tiny_codeformer, tiny_config):
    adapter = adapter_for(tiny_codeformer)
    torch.manual_seed(1)
    other = CodeFormer(tiny_config)
    torch.nn.init.normal_(other.position_emb)
    with pytest.raises(CheckpointError, match="anna was made for tiny, not for this model"):
        adapter.apply(other)
    wider = dataclasses.replace(tiny_config, width=128)
    with pytest.raises(CheckpointError, match="anna was made for tiny"):
        adapter.apply(CodeFormer(wider))


def test_files_that_are_no_adapters_are_refused(safetensors_file, tmp_path, tiny_codeformer):
    with pytest.raises(CheckpointError, match=r"tiny.safetensors: is no personal adapter"):
        read_adapter(safetensors_file)
    with pytest.raises(MissingModelError):
        read_adapter(tmp_path / "nobody.safetensors")
    whole = adapter_for(tiny_codeformer)
    damaged = {"adapter.feat_emb.down": torch.zeros(2, 3), "adapter.feat_emb.up": torch.zeros(4, 5)}
    damaged |= {"base.sample": whole.sample, "person.descriptors": whole.descriptors}
    save_file(damaged, tmp_path / "damaged.safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        read_adapter(tmp_path / "damaged.safetensors")


def test_each_face_gets_the_adapter_of_whom_it_looks_like(tiny_codeformer, astronaut):
    face = torch.nn.functional.interpolate(
        astronaut[40:210, 138:308].movedim(-1, 0)[None], (64, 64), mode="area"
    )
    crops = 2 * torch.cat([face, face.flip(2)]) - 1  # upside down it is nobody
    her = describe_crops(face.movedim(1, -1), IdentityNetwork())
    anna = dataclasses.replace(adapter_for(tiny_codeformer), descriptors=her)
    ben = adapter_for(tiny_codeformer, seed=1)
    both = with_person(with_person(tiny_codeformer, ben, by_likeness=True), anna, by_likeness=True)
    assert isinstance(both, PeopleRestorer)
    assert both.recogniser.recognise_crops(crops) == (Whom(2), Whom())
    restored = both(crops, 0.7)
    torch.testing.assert_close(restored[:1], anna.apply(tiny_codeformer)(crops[:1], 0.7))
    torch.testing.assert_close(restored[1:], tiny_codeformer(crops[1:], 0.7))
    with pytest.raises(SettingError, match="by likeness"):
        with_person(both, anna)
    with pytest.raises(SettingError, match="for a CodeFormer"):
        with_person(torch.nn.Identity(), anna)
