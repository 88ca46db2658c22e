"""Each stage trains its own parts and nothing else, and hands its weights on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.errors import CheckpointError, MissingModelError, SettingError
from codeformer_core.models import load_codeformer, load_vqgan
from codeformer_core.training.augmentation import Augmentation
from codeformer_core.training.config import RunConfig
from codeformer_core.training.data import CHANCES, Batch
from codeformer_core.training.loop import Trainer
from codeformer_core.training.stage import Adversary
from codeformer_core.training.stage_three import FusionStage
from codeformer_core.training.stage_two import CodePredictionStage

MakeConfig = Callable[..., RunConfig]


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.stage.network.state_dict().items()}


def changed_parts(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """First words of the names of weights that differ."""
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def gradients_of(trainer: Trainer, step: int = 0) -> set[str]:
    """Parts of the network that a step's loss reaches."""
    trainer.step = step
    batch = trainer.batches.at(step)
    trainer.stage(batch, step, Adversary(trainer.discriminator)).loss.backward()
    named = trainer.stage.network.named_parameters()
    return {
        name.split(".")[0] for name, p in named if p.grad is not None and bool(p.grad.abs().sum())
    }


def test_stage_one_moves_autoencoder_and_codebook(tmp_path: Path, run_config: MakeConfig) -> None:
    trainer = Trainer(run_config(), tmp_path / "one")
    before = weights_of(trainer)
    discriminator = [p.clone() for p in trainer.discriminator.parameters()]
    assert trainer.run()
    assert changed_parts(before, weights_of(trainer)) == {"encoder", "quantize", "generator"}
    after = trainer.discriminator.parameters()
    assert not all(torch.equal(a, b) for a, b in zip(discriminator, after, strict=True))


def test_stage_one_goes_on_with_the_generator_alone(tmp_path: Path, run_config: MakeConfig) -> None:
    assert Trainer(run_config(), tmp_path / "one").run()
    start = str(tmp_path / "one" / "weights.safetensors")
    trainer = Trainer(run_config(start_from=start, train_codes=False), tmp_path / "two")
    before = weights_of(trainer)
    assert trainer.run()
    assert changed_parts(before, weights_of(trainer)) == {"generator"}
    # Whoever goes on need not name the codes again: the run has them.
    again = Trainer(replace(trainer.config, start_from="", steps=8), tmp_path / "two")
    assert again.run()
    assert changed_parts(before, weights_of(again)) == {"generator"}
    with pytest.raises(SettingError, match="start_from"):
        Trainer(run_config(train_codes=False), tmp_path / "three").run()


def test_pixels_of_a_patch_have_one_colour(tmp_path: Path, run_config: MakeConfig) -> None:
    config = run_config()
    model = replace(config.model, vqgan=replace(config.model.vqgan, patch=2))
    trainer = Trainer(replace(config, model=model), tmp_path / "one")
    assert trainer.run()
    with torch.no_grad():
        pictures = trainer.stage.network(
            torch.rand(1, 3, model.vqgan.image_size, model.vqgan.image_size)
        )
    patches = torch.nn.functional.pixel_unshuffle(pictures, 2).unflatten(1, (3, 4))
    colours = patches - patches.mean(1, keepdim=True)
    assert (colours - colours.mean(2, keepdim=True)).abs().max() < 1e-5
    assert (patches - patches.mean(2, keepdim=True)).abs().max() > 1e-3, "lightness may alternate"


def test_the_generators_loss_does_not_move_the_discriminator(
    tmp_path: Path, run_config: MakeConfig
) -> None:
    trainer = Trainer(run_config(adversarial_after=0, quantize_after=0), tmp_path / "one")
    trainer._train_discriminator = lambda parts, results: None
    trainer.train_step([trainer.batches.at(0)])
    assert all(p.grad is None for p in trainer.discriminator.parameters())


@pytest.mark.parametrize("stage", [1, 3])
def test_the_adversarial_loss_counts_as_far_as_it_has_risen(
    stage: int, tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=stage, autoencoder=autoencoder if stage == 3 else "")
    trainer = Trainer(config, tmp_path / "run")
    batch = trainer.batches.at(0)
    without, quarter, whole = (
        trainer.stage(batch, 0, strength and Adversary(trainer.discriminator, strength))
        for strength in (None, 0.25, 1.0)
    )
    assert "lambda_adv" not in without.logged
    weight = whole.logged["lambda_adv"]
    torch.testing.assert_close(quarter.logged["lambda_adv"], 0.25 * weight)
    for result, share in ((quarter, 0.25), (whole, 1.0)):
        expected = without.loss + share * weight * whole.logged["L_adv"]
        torch.testing.assert_close(result.loss, expected)


def test_stage_one_codes_get_no_gradient(tmp_path: Path, run_config: MakeConfig) -> None:
    trainer = Trainer(run_config(quantize_after=0), tmp_path / "one")
    assert gradients_of(trainer) == {"encoder", "generator"}


def test_stage_two_leaves_the_prior_alone(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    trainer = Trainer(run_config(stage=2, autoencoder=autoencoder), tmp_path / "two")
    before = weights_of(trainer)
    trainer.run()
    moved = {"encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer"}
    assert changed_parts(before, weights_of(trainer)) == moved


def test_stage_two_weights_do_not_depend_on_fidelity(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    Trainer(run_config(stage=2, autoencoder=autoencoder), tmp_path / "two").run()
    network = load_codeformer(tmp_path / "two" / "weights.safetensors")
    crops = torch.rand(1, 3, network.size, network.size) * 2 - 1
    assert torch.allclose(network(crops, 0.0), network(crops, 1.0))


def test_stage_three_adds_fusion(tmp_path: Path, run_config: MakeConfig, autoencoder: str) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, mild_share=0.5, adversarial_after=2)
    trainer = Trainer(config, tmp_path / "three")
    before = weights_of(trainer)
    trainer.run()
    changed = changed_parts(before, weights_of(trainer))
    assert "fuse_convs_dict" in changed
    assert not changed & {"quantize", "generator"}


def test_stage_three_draws_fidelities_below_the_full_one(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, full_fidelity_share=0.5)
    stage = Trainer(config, tmp_path / "three").stage
    assert isinstance(stage, FusionStage)
    drawn = stage.fidelities(Batch(torch.zeros(400), chances=torch.rand(400, CHANCES))).tolist()
    assert 140 < drawn.count(1.0) < 260
    assert min(drawn) < 0.1
    assert max(drawn) == 1.0


def test_perceptual_loss_counts_less_at_high_fidelity(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, full_fidelity_perceptual=0.25)
    stage = Trainer(config, tmp_path / "three").stage
    assert isinstance(stage, FusionStage)
    shares = stage.perceptual_share(torch.tensor([0.0, 0.5, 1.0, 1.3]))
    assert torch.allclose(shares, torch.tensor([1.0, 0.625, 0.25, 0.25]))


def test_stage_three_image_losses_reach_the_transformer_through_a_mean_alone(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=3, autoencoder=autoencoder)
    images = replace(config.losses, code_token=0.0, code_feature=0.0)
    trainer = Trainer(replace(config, losses=images), tmp_path / "images")
    assert gradients_of(trainer) == {"encoder", "fuse_convs_dict"}
    codes = replace(config.losses, pixel=0.0)
    trainer = Trainer(replace(config, losses=codes), tmp_path / "codes")
    transformer = {"position_emb", "feat_emb", "ft_layers", "idx_pred_layer"}
    assert gradients_of(trainer) == {"encoder", *transformer}
    warm = replace(config.model, code_temperature=0.5)
    trainer = Trainer(replace(config, losses=images, model=warm), tmp_path / "warm")
    assert gradients_of(trainer) == {"encoder", "fuse_convs_dict", *transformer}


def test_stage_three_lets_the_generator_learn_if_told_to(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, train_generator=True)
    trainer = Trainer(config, tmp_path / "three")
    before = weights_of(trainer)
    assert trainer.run()
    assert "generator" in changed_parts(before, learnt := weights_of(trainer))
    assert "quantize" not in changed_parts(before, learnt)
    last = trainer.stage.network.generator.blocks[-1].weight.unflatten(0, (3, 4))
    colours = last - last.mean(0, keepdim=True)
    assert colours.std(1).max() < 1e-6  # the pixels of a patch have one colour, as in stage I
    again = Trainer(replace(config, steps=8), tmp_path / "three")
    assert not changed_parts(learnt, weights_of(again))  # stage I's does not come back
    start = str(tmp_path / "three" / "weights.safetensors")
    going_on = Trainer(replace(config, start_from=start), tmp_path / "more")
    averaged = trainer.ema.network.generator.state_dict()
    for name, value in going_on.stage.network.generator.state_dict().items():
        torch.testing.assert_close(value, averaged[name].float(), atol=1e-3, rtol=1e-2)


def test_clean_codes_are_computed_once(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_config(stage=2, autoencoder=autoencoder, augmentation=Augmentation(variants=1))
    trainer = Trainer(config, tmp_path / "two")
    stage = trainer.stage
    assert isinstance(stage, CodePredictionStage)
    batches = [trainer.batches.at(step) for step in range(4)]  # one epoch
    first = [stage.clean_codes(batch) for batch in batches]
    for batch, codes in zip(batches, first, strict=True):
        assert torch.equal(codes, stage.autoencoder.encode(batch.clean)[1])
    monkeypatch.delattr(stage.autoencoder.__class__, "encode")
    assert all(
        torch.equal(stage.clean_codes(batch), codes)
        for batch, codes in zip(batches, first, strict=True)
    )


def test_fresh_variants_are_never_looked_up(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    trainer = Trainer(run_config(stage=2, autoencoder=autoencoder), tmp_path / "two")
    assert isinstance(trainer.stage, CodePredictionStage)
    assert trainer.stage.known_codes is None


@pytest.mark.slow
def test_stage_one_learns_the_faces(tmp_path: Path, run_config: MakeConfig) -> None:
    config = run_config(steps=60, quantize_after=15, adversarial_after=1000)
    trainer = Trainer(config, tmp_path / "one")
    batch = trainer.batches.at(0)
    before = trainer.stage(batch, 0, None).logged["L_1"]
    trainer.run()
    after = trainer.stage(batch, config.steps, None).logged["L_1"]
    assert after < 0.7 * before


def test_weights_load_as_networks(tmp_path: Path, autoencoder: str, run_config: MakeConfig) -> None:
    network = load_vqgan(autoencoder)
    assert network.config == run_config().model.vqgan
    Trainer(run_config(stage=2, autoencoder=autoencoder), tmp_path / "two").run()
    restorer = load_codeformer(tmp_path / "two" / "weights.safetensors")
    assert restorer.config == run_config().model


def test_weights_saved_under_our_key_names_still_start_a_stage(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    from safetensors.torch import save_file

    config = run_config(stage=2, autoencoder=autoencoder)
    first = Trainer(config, tmp_path / "two")
    state = {name: value.contiguous() for name, value in weights_of(first).items()}
    assert "ft_layers.0.self_attn.q.weight" in state
    save_file(state, tmp_path / "ours.safetensors")
    third = replace(config, stage=3, start_from=str(tmp_path / "ours.safetensors"), seed=9)
    started = Trainer(third, tmp_path / "three")
    assert not changed_parts(weights_of(first), weights_of(started))


def test_missing_weights_name_the_file(run_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"nowhere\.safetensors"):
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
