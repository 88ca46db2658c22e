"""A run can be broken, killed, stopped and shared without changing what it learns."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.errors import CheckpointError, PictureError, SettingError
from codeformer_core.training.augmentation import Augmentation
from codeformer_core.training.config import LossWeights, RunConfig
from codeformer_core.training.loop import Trainer
from codeformer_core.training.process_group import places_of
from codeformer_core.training.reporting import FolderReporter

MakeConfig = Callable[..., RunConfig]


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log without what depends on the machine."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [
        {name: value for name, value in line.items() if name != "pictures per second"}
        for line in lines
    ]


def averages_of(trainer: Trainer) -> dict[str, Tensor]:
    return trainer.ema.network.state_dict()


@pytest.fixture(params=[1, 3])
def config(request: pytest.FixtureRequest, run_config: MakeConfig) -> RunConfig:
    """A run of either kind: with a codebook to move, and with codes to remember."""
    if request.param == 1:
        return run_config(hold_out=0.3, validate_every=3, adversarial_rise=0.5)
    weights = request.getfixturevalue("autoencoder")
    augmentation = Augmentation(variants=2)
    return run_config(
        stage=3, autoencoder=weights, augmentation=augmentation, mild_share=0.5, hold_out=0.3
    )


def test_killed_run_goes_on_to_the_same_losses(
    tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = Trainer(config, tmp_path / "unbroken")
    assert unbroken.run()
    killed = Trainer(replace(config, save_every=2), tmp_path / "killed")
    step_as_before = killed.train_step

    def die_at_five(parts, progress):
        if killed.step == 5:
            raise RuntimeError("killed")
        return step_as_before(parts, progress)

    monkeypatch.setattr(killed, "train_step", die_at_five)
    with pytest.raises(RuntimeError, match="killed"):
        killed.run()
    resumed = Trainer(config, tmp_path / "killed")
    assert resumed.step == 4
    assert resumed.run()
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "unbroken")
    for name, value in averages_of(unbroken).items():
        assert torch.equal(averages_of(resumed)[name], value), name


def test_interrupt_finishes_the_step_and_saves(tmp_path: Path, run_config: MakeConfig) -> None:
    trainer = Trainer(run_config(), tmp_path / "run")
    before = signal.getsignal(signal.SIGINT)

    def press_ctrl_c(step: int, steps: int, numbers: dict[str, float]) -> None:
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    assert not trainer.run(on_step=press_ctrl_c)
    assert signal.getsignal(signal.SIGINT) is before
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (described["step"], described["steps"], described["stage"]) == (3, 6, 1)
    assert Trainer(run_config(), tmp_path / "run").step == 3


def test_folder_holds_what_it_should(tmp_path: Path, run_config: MakeConfig) -> None:
    trainer = Trainer(run_config(hold_out=0.3, validate_every=3), tmp_path / "run")
    trainer.run()
    names = {path.name for path in (tmp_path / "run").iterdir()}
    files = {"weights.safetensors", "run.json", "state.pt", "log.jsonl", "samples.jpg"}
    assert names - {"tensorboard"} == files
    groups = [(line["group"], line["step"]) for line in log_of(tmp_path / "run")]
    assert groups.count(("validation", 3)) == groups.count(("validation", 6)) == 1
    assert "PSNR reconstruction" in trainer.scores
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["steps"] == 6


def test_tensorboard_has_scalars_and_pictures(tmp_path: Path, run_config: MakeConfig) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    Trainer(run_config(hold_out=0.3), tmp_path / "run").run()
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"train/L_1", "train/codes used"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["samples"]
    assert [event.step for event in events.Scalars("train/L_1")] == [1, 2, 3, 4, 5, 6]


def test_validation_of_stage_three_compares_fidelities_and_nearest_neighbour(
    tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(stage=3, autoencoder=autoencoder, hold_out=0.3, steps=1)
    trainer = Trainer(config, tmp_path / "three")
    trainer.run()
    kinds = ("input", "nearest neighbour", "w = 0", "w = 0.5", "w = 1")
    assert {f"PSNR {kind}" for kind in kinds} <= set(trainer.scores)


def test_state_of_other_settings_is_refused(tmp_path: Path, run_config: MakeConfig) -> None:
    config = run_config(steps=1)
    Trainer(config, tmp_path / "run").run()
    vqgan = replace(config.model.vqgan, codebook_size=128)
    with pytest.raises(CheckpointError, match=r"state\.pt.*sizes.*quantize.*run\.json.*--out"):
        Trainer(replace(config, model=replace(config.model, vqgan=vqgan)), tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"state\.pt: .*size mismatch.*run\.json.*--out"):
        Trainer(replace(config, discriminator_channels=64), tmp_path / "run")
    (tmp_path / "run" / "state.pt").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match=r"state\.pt"):
        Trainer(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda state: state.pop("averaged"), "it lacks 'averaged'"),
        (lambda state: state["optimizer"].pop("param_groups"), "it lacks 'param_groups'"),
        (lambda state: state["optimizer"]["param_groups"].pop(), "parameter group"),
        (lambda state: state.update(stage=None), "NoneType"),
    ],
)
def test_state_that_lacks_a_part_is_refused(
    damage: Callable[[dict[str, Any]], object],
    reason: str,
    tmp_path: Path,
    run_config: MakeConfig,
) -> None:
    trainer = Trainer(run_config(steps=1), tmp_path / "run")
    trainer.run()
    state = trainer.folder.load()
    assert state is not None
    damage(state)
    torch.save(state, trainer.folder.state)
    with pytest.raises(CheckpointError, match=rf"state\.pt: .*{reason}.*delete the file"):
        Trainer(run_config(steps=1), tmp_path / "run")


def test_folder_that_cannot_be_made_is_named(tmp_path: Path, run_config: MakeConfig) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PictureError, match="run: this folder cannot be made"):
        Trainer(run_config(), tmp_path / "file" / "run")


def test_what_ended_a_run_is_said_though_its_curves_cannot_be_closed(
    tmp_path: Path, run_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(message: str) -> None:
        raise PictureError(message)

    trainer = Trainer(run_config(), tmp_path / "run")
    monkeypatch.setattr(FolderReporter, "close", lambda self: refuse("the last"))
    monkeypatch.setattr(trainer, "train_step", lambda *_: refuse("the first"))
    with pytest.raises(PictureError, match="the first"):
        trainer.run()


def test_accumulated_gradients_equal_those_of_the_whole_batch(
    tmp_path: Path, run_config: MakeConfig
) -> None:
    gradients = []
    for parts in (1, 2):
        config = run_config(batch_size=4, gradient_accumulation_steps=parts, adversarial_after=100)
        trainer = Trainer(config, tmp_path / str(parts))
        for step in range(4):  # past the start of the codebook
            batches = [trainer.batches.at(step, each) for each in trainer.places]
            trainer.train_step(batches)
            trainer.step += 1
            if step == 1:
                gradients.append([p.grad.clone() for p in trainer.trained if p.grad is not None])
    for whole, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(summed, whole, atol=1e-6, rtol=1e-3)


def test_bf16_runs(tmp_path: Path, run_config: MakeConfig) -> None:
    losses = LossWeights(perceptual=0.0, identity=1.0)
    config = run_config(
        steps=2, precision="bf16", quantize_after=0, adversarial_after=0, losses=losses
    )
    first = Trainer(config, tmp_path / "one")
    first.run()
    assert all(value.dtype == torch.float32 for value in averages_of(first).values())
    saved = [value for value in first.stage.state().values() if value.is_floating_point()]
    assert {value.dtype for value in saved} == {torch.float32}
    helpers = first.stage.image_losses.parameters()
    assert torch.bfloat16 in {parameter.dtype for parameter in helpers}
    weights = str(tmp_path / "one" / "weights.safetensors")
    second = replace(config, stage=2, autoencoder=weights)
    assert Trainer(second, tmp_path / "two").run()


class Questions(TorchDispatchMode):
    """Notes what a step asks the device: a GPU would have to finish all its work to answer."""

    ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in self.ASKING:
            self.asked.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_step_never_waits_for_the_device(
    stage: int, tmp_path: Path, run_config: MakeConfig, autoencoder: str
) -> None:
    config = run_config(
        stage=stage,
        autoencoder=autoencoder if stage > 1 else "",
        quantize_after=0,
        adversarial_after=0,
        adversarial_rise=0.9,
        mild_share=0.3,
        clean_share=0.1,
        full_fidelity_share=0.5,
        augmentation=Augmentation(variants=2, occluder=0.2, eyelids=0.2),
        losses=LossWeights(perceptual=0.0, components=1.0, colour=1.0, identity=1.0),
    )
    trainer = Trainer(config, tmp_path / "run")
    for _ in range(2):  # what is made once: constants, the codebook, the optimiser's state
        trainer.train_step(trainer._parts())
        trainer.step += 1
    with Questions() as questions:
        trainer.train_step(trainer._parts())
    assert questions.asked == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch compiles with g++")
def test_compiled_blocks_compute_the_same(tmp_path: Path, run_config: MakeConfig) -> None:
    gradients = []
    model = run_config().model  # of one level: a block that widens, and blocks that do not
    model = replace(model, vqgan=replace(model.vqgan, multipliers=(2,)), fusion_sizes=())
    for compiled in (False, True):
        config = run_config(compile=compiled, quantize_after=100, model=model)
        trainer = Trainer(config, tmp_path / str(compiled))
        trainer.train_step(trainer._parts())
        assert set(trainer.stage.state()) == set(Trainer(config, tmp_path / "again").stage.state())
        gradients.append([p.grad.clone() for p in trainer.trained if p.grad is not None])
    for plain, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-4, rtol=1e-2)


def test_processes_share_the_batch_in_order(run_config: MakeConfig) -> None:
    config = run_config(batch_size=8, gradient_accumulation_steps=2)
    places = [
        place for process in (0, 1) for part in places_of(config, process, 2) for place in part
    ]
    assert places == list(range(8))
    with pytest.raises(SettingError, match="3 processes"):
        places_of(config, 0, 3)


def test_nothing_left_to_train_on_is_refused(tmp_path: Path, run_config: MakeConfig) -> None:
    with pytest.raises(SettingError, match="hold_out"):
        Trainer(run_config(hold_out=1.0), tmp_path)
