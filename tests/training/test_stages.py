"""Each stage trains its own parts, lowers its loss, and hands its weights on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.errors import CheckpointError, SettingError
from codeformer_core.training.config import RunConfig
from codeformer_core.training.loop import Trainer

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def autoencoder(tmp_path: Path, run_config: MakeConfig) -> str:
    """Weights of a short stage I run."""
    Trainer(run_config(), tmp_path / "one").run()
    return str(tmp_path / "one" / "weights.safetensors")


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.stage.network.state_dict().items()}


def changed_parts(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """First words of the names of weights that differ."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_stage_one_moves_autoencoder_and_codebook(tmp_path: Path, run_config: MakeConfig) -> None:
    trainer = Trainer(run_config(), tmp_path / "one")
    before = weights_of(trainer)
    discriminator = [p.clone() for p in trainer.stage.discriminator.parameters()]
    trainer.run()
    assert changed_parts(before, weights_of(trainer)) == {"encoder", "quantize", "generator"}
    after = trainer.stage.discriminator.parameters()
    assert not all(torch.equal(a, b) for a, b in zip(discriminator, after, strict=True))


def test_stage_two_leaves_the_prior_alone(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    trainer = Trainer(run_config(stage=2, autoencoder=autoencoder), tmp_path / "two")
    before = weights_of(trainer)
    trainer.run()
    moved = {"encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer"}
    assert changed_parts(before, weights_of(trainer)) == moved


def test_stage_three_adds_fusion(tmp_path: Path, run_config: MakeConfig, autoencoder: str) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, mild_share=0.5, adversarial_after=2)
    trainer = Trainer(config, tmp_path / "three")
    before = weights_of(trainer)
    trainer.run()
    changed = changed_parts(before, weights_of(trainer))
    assert "fuse_convs_dict" in changed
    assert not changed & {"quantize", "generator"}


@pytest.mark.slow
def test_stage_one_learns_the_faces(tmp_path: Path, run_config: MakeConfig) -> None:
    config = run_config(steps=150, quantize_after=20, adversarial_after=1000)
    trainer = Trainer(config, tmp_path / "one")
    batch = trainer.batches.at(0)
    with torch.no_grad():
        before = trainer.stage(batch, 0).logged["L_1"]
        trainer.run()
        after = trainer.stage(batch, config.steps).logged["L_1"]
    assert after < 0.5 * before


def test_resumed_run_equals_an_unbroken_one(tmp_path: Path, run_config: MakeConfig) -> None:
    unbroken = Trainer(run_config(), tmp_path / "unbroken")
    unbroken.run()
    Trainer(replace(run_config(), steps=3), tmp_path / "broken").run()
    # The learning rate follows the planned number of steps, so the break must not change it.
    first = Trainer(run_config(), tmp_path / "again")
    for step in range(3):
        first._train_step(first.batches.at(step))
        first.step += 1
    first.save()
    resumed = Trainer(run_config(), tmp_path / "again")
    assert resumed.step == 3
    resumed.run()
    for name, value in weights_of(unbroken).items():
        torch.testing.assert_close(weights_of(resumed)[name], value, atol=1e-6, rtol=1e-5)


def test_missing_weights_name_the_file(run_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        Trainer(run_config(stage=2, autoencoder=str(tmp_path / "nowhere.safetensors")), tmp_path)
    with pytest.raises(SettingError, match="autoencoder"):
        Trainer(run_config(stage=2), tmp_path)


def test_weights_of_other_sizes_are_refused(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=2, autoencoder=autoencoder)
    vqgan = replace(config.model.vqgan, codebook_size=128)
    wider = replace(config, model=replace(config.model, vqgan=vqgan))
    with pytest.raises(CheckpointError, match=r"\[model\]"):
        Trainer(wider, tmp_path / "two")
