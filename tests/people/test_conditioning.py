"""The file beside a CodeFormer that draws whom reference photos show."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import write_state
from codeformer_core.errors import CheckpointError
from codeformer_core.networks import CodeFormer, CodeFormerConfig
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people.conditioning import (
    Conditioning,
    find_conditioning,
    read_conditioning,
    save_conditioning,
)


@pytest.fixture
def saved(tiny_codeformer: CodeFormer, tmp_path: Path) -> Path:
    network = ReferenceConditioning.of(tiny_codeformer.config, (16, 32))
    torch.nn.init.normal_(network.get_parameter("sides.16.out.weight"))
    conditioning = replace(
        Conditioning.beside(tiny_codeformer, network), metadata={"base": "anna's model"}
    )
    return save_conditioning(tmp_path / "refs.safetensors", conditioning, {"stage": "3"})


def test_a_saved_conditioning_comes_back(saved: Path, tiny_codeformer: CodeFormer) -> None:
    found = read_conditioning(saved)
    assert found.network.sizes == (16, 32)
    assert found.metadata["kind"] == "codeformer-references"
    assert found.network.get_parameter("sides.16.out.weight").abs().max() > 1
    found.check(tiny_codeformer)
    found.check(tiny_codeformer.bfloat16())


def test_another_base_is_refused_by_name(saved: Path, tiny_config: CodeFormerConfig) -> None:
    found = read_conditioning(saved)
    for config in (tiny_config, replace(tiny_config, width=128)):
        torch.manual_seed(9)
        with pytest.raises(CheckpointError, match="refs was trained beside anna's model, not this"):
            found.check(CodeFormer(config))


def test_only_what_calls_itself_a_conditioning_is_looked_at(
    saved: Path, tiny_codeformer: CodeFormer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Other files of such a name do not stop a run; a damaged conditioning does."""
    write_state(tmp_path / "a_references.safetensors", {"conditioning.a": torch.zeros(3)})
    (tmp_path / "b_references.safetensors").write_bytes(b"notes on references")
    (tmp_path / "c_references.safetensors").mkdir()
    assert find_conditioning(tiny_codeformer, [tmp_path]) is None
    for name, message in zip("abc", caplog.messages, strict=True):
        assert f"{name}_references.safetensors: left aside, because it" in message
    whole = saved.read_bytes()
    saved.rename(last := tmp_path / "d_references.safetensors")
    found = find_conditioning(tiny_codeformer, [tmp_path])
    assert found is not None and found.name == last.stem
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="d_references"):
        find_conditioning(tiny_codeformer, [tmp_path])


def test_files_that_are_none_are_refused(saved: Path, tmp_path: Path) -> None:
    other = write_state(tmp_path / "other.safetensors", {"a": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="is no conditioning on references"):
        read_conditioning(other)
    sample = torch.zeros(256)
    broken = {"conditioning.sides.16.joint.bias": torch.zeros(32), "base.sample": sample}
    with pytest.raises(CheckpointError, match="is a damaged conditioning"):
        read_conditioning(write_state(tmp_path / "broken.safetensors", broken))
