"""Three stages in a given time, each from the last, again and again."""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codeformer_core.errors import MissingModelError
from codeformer_core.training import recipe
from codeformer_core.training.config import RunConfig
from codeformer_core.training.loop import Trainer
from codeformer_core.training.parcels import write_parcels
from codeformer_core.training.recipe import linked, run_recipe, weights_of
from codeformer_core.training.schedule import Schedule

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a tenth of a second whenever it is asked: a step takes 0.3 s."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: 0.1 * next(ticks))
    monkeypatch.setattr(recipe, "SAVING_SECONDS", 0.0)


@pytest.fixture
def configs(run_config: MakeConfig) -> list[RunConfig]:
    shares = (0.5, 0.25, 0.25)
    return [run_config(stage=n, time_share=share) for n, share in enumerate(shares, start=1)]


class Told:
    """Remembers what a recipe says of its stages."""

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.starts: dict[int, str] = {}
        self.steps: dict[int, int] = {}

    def __call__(self, config: RunConfig, seconds: float):
        self.seconds[config.stage], self.starts[config.stage] = seconds, config.start_from

        def on_step(step: int, *_: object) -> None:
            self.steps[config.stage] = step

        return on_step


def test_minutes_are_divided_and_stages_linked(configs: list[RunConfig], tmp_path: Path) -> None:
    told = Told()
    assert run_recipe(configs, tmp_path / "run", 6.0, told)
    assert set(told.steps) == {1, 2, 3}
    assert sum(told.seconds.values()) <= 6.0, "what a stage takes too long is not the others'"
    assert 2.5 < told.seconds[1] <= 3.0
    assert told.starts[3] == str(weights_of(tmp_path / "run", 2))
    again = Told()
    skipping = [
        replace(config, time_share=each) for config, each in zip(configs, (1, 0, 1), strict=True)
    ]
    assert run_recipe(skipping, tmp_path / "run", 3.0, again)
    assert set(again.steps) == {1, 3}
    assert all(again.steps[stage] > told.steps[stage] for stage in (1, 3))


@pytest.mark.parametrize("train_codes", [True, False])
def test_stage_three_follows_a_stage_one_that_has_gone_on(
    train_codes: bool, run_config: MakeConfig, autoencoder: str, tmp_path: Path
) -> None:
    one = run_config(train_codes=train_codes, start_from=autoencoder)
    three = run_config(stage=3, autoencoder=str(weights_of(tmp_path, 1)))
    for steps in (2, 4):
        Trainer(replace(one, steps=steps), tmp_path / "stage1").run()
        Trainer(replace(three, steps=steps), tmp_path / "stage3").run()
    first, third = (
        torch.load(tmp_path / f"stage{n}" / "state.pt", weights_only=True)["average"]
        for n in (1, 3)
    )
    shared = [name for name in first if name.startswith(("quantize", "generator"))]
    assert shared
    assert all(torch.equal(first[name], third[name]) for name in shared)


def test_stopped_recipe_goes_on_with_what_it_has(configs: list[RunConfig], tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    told = Told()
    assert not run_recipe(configs, tmp_path / "run", 60.0, told, stop)
    assert set(told.steps) == {1}
    assert weights_of(tmp_path / "run", 1).is_file()


def test_packed_run_is_gone_on_with(configs: list[RunConfig], tmp_path: Path) -> None:
    run_recipe(configs, tmp_path / "run", 1.0, Told())
    write_parcels(tmp_path / "run", Path(configs[0].data) / "run")
    told = Told()
    run_recipe(configs[:1], tmp_path / "elsewhere", 0.5, told)
    assert told.steps[1] > 1
    assert (tmp_path / "elsewhere" / "stage3" / "state.pt").is_file()


def test_what_is_missing_is_named(configs: list[RunConfig], tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"stage1.*train the stage before first"):
        linked(configs[1], tmp_path, tmp_path)
    weights_of(tmp_path, 1).parent.mkdir()
    weights_of(tmp_path, 1).touch()
    assert linked(configs[1], tmp_path, tmp_path).start_from == ""
    with pytest.raises(MissingModelError, match=r"stage2.*--set start_from"):
        linked(configs[2], tmp_path, tmp_path)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "stage2.safetensors").touch()
    (tmp_path / "weights").mkdir()
    config = linked(configs[1], tmp_path, tmp_path)
    assert config.start_from.endswith("stage2.safetensors")
    assert linked(configs[2], tmp_path, tmp_path).start_from == config.start_from
    assert config.backbones == str(tmp_path / "weights")


def test_schedule_follows_the_clock_where_there_is_one(
    run_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    config = run_config(steps=10, warm_up=4, final_rate=0.1, adversarial_after=3)
    timed = Schedule(config, first_step=50, seconds=20.0)
    rates = []
    for step, clock in ((50, 100.0), (54, 100.0), (60, 110.0), (70, 120.0)):
        now[0] = clock
        rates.append(timed.learning_rate(step, timed.progress(step)) / config.learning_rate)
    assert rates == pytest.approx([0.25, 1.0, 0.55, 0.1])
    assert [timed.adversarial_strength(70, each) for each in (0.5, 0.6)] == [0.0, 1.0]
    assert not timed.trains_discriminator(70, 0.5)
    ahead = Schedule(replace(config, discriminator_lead=0.2), seconds=20.0)
    assert [ahead.trains_discriminator(70, each) for each in (0.35, 0.45, 0.7)] == [
        False,
        True,
        True,
    ]
    assert not ahead.adversarial_strength(70, 0.45)
    assert [timed.is_over(70, progress) for progress in (0.9, 1.0)] == [False, True]
    stepped = Schedule(config)
    assert stepped.progress(5) == 0.5
    assert [stepped.adversarial_strength(step, 0.0) for step in (2, 3)] == [0.0, 1.0]
    assert [stepped.is_over(step) for step in (9, 10)] == [False, True]


def test_adversarial_weight_rises_by_steps_or_by_the_clock(run_config: MakeConfig) -> None:
    config = run_config(steps=10, adversarial_after=3, adversarial_share=0.6, adversarial_rise=0.2)
    stepped = [Schedule(config).adversarial_strength(step, 0.0) for step in range(7)]
    assert stepped == pytest.approx([0, 0, 0, 0, 0.5, 1, 1])
    timed = Schedule(config, seconds=20.0)
    shares = (0.55, 0.6, 0.65, 0.7, 0.8, 1.0)
    assert [timed.adversarial_strength(0, each) for each in shares] == pytest.approx(
        [0, 0, 0.25, 0.5, 1, 1]
    )
    without = replace(config, losses=replace(config.losses, adversarial=0.0))
    assert not Schedule(without).adversarial_strength(9, 1.0)
