"""`codeformer train`: train a stage, or all three."""

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError
from .options import Commands, number_between

if TYPE_CHECKING:
    from ..training import RunConfig, Trainer
    from ..training.loop import OnStep

RUNS = Path("runs")
INTERRUPTED = 130
SHOWN = (
    *("L_1", "L_per", "L_id", "lambda_adv", "L_code_token", "accuracy"),
    *("codes used", "pictures per second"),
)
"""Numbers beside the progress, as far as the stage has them."""
SAID_EVERY = 20.0
"""Seconds between two lines about a recipe's progress."""
EVALUATION_SECONDS = 45.0
"""Kept back of a recipe's time for the evaluation at its end, or a tenth of the time if less."""
EVALUATED_FACES = 48
PARCELS_MB = 60


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train one of the three stages, or all",
        description="Train a stage: 1 codebook, 2 code prediction, 3 fusion; or all of them in "
        "the given minutes. The same command goes on after Ctrl-C or a crash. `accelerate launch "
        "-m codeformer_core train ...` trains on several GPUs or machines.",
    )
    parser.add_argument("stage", choices=("1", "2", "3", "all"), metavar="STAGE")
    parser.add_argument(
        "config",
        metavar="CONFIG",
        help="a TOML file, a folder with one for each stage, or a family such as builtin_128",
    )
    parser.add_argument(
        "--data", metavar="PATH", help="aligned faces: a folder, tar shards, or a packed folder"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder of all three stages (default: {RUNS}/ and the name of CONFIG); stages 2 and "
        "3 take the weights of the stage before from there, unless CONFIG names others",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, such as losses.perceptual=0.5; may be repeated",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu"), help="the setting `device`: cpu stays off the GPU"
    )
    parser.add_argument(
        "--minutes",
        type=number_between(0, 1e6),
        metavar="N",
        help="stop cleanly after so many minutes, as Ctrl-C does; of all stages: divide them",
    )
    parser.add_argument(
        "--shares",
        type=number_between(0, 1e6),
        nargs=3,
        metavar="N",
        help="of all stages: how the minutes are divided; a stage with 0 is left out",
    )
    parser.add_argument(
        "--parcels",
        type=Path,
        metavar="DIR",
        help="of all stages: leave the run there too, in files of at most 16 MiB",
    )
    parser.add_argument(
        "--parcels-mb",
        type=number_between(1, 1e6),
        default=PARCELS_MB,
        metavar="MB",
        help="moments of its optimiser are left out where the parcels would grow larger, in MiB "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--print", action="store_true", help="only print all settings, as a TOML file"
    )
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..training import to_toml
    from ..training.toml import stages_of

    stages = stages_of(options.config) if options.stage == "all" else (int(options.stage),)
    configs = [_read_settings(options, stage) for stage in stages]
    if options.print:
        print("\n".join(to_toml(config) for config in configs))
        return 0
    return _train_all(configs, options) if options.stage == "all" else _train(configs[0], options)


def _read_settings(options: argparse.Namespace, stage: int) -> "RunConfig":
    """Settings of a stage.

    Raises:
        SettingError: settings that are unknown, of the wrong kind, or of another stage.
    """
    from ..training import find_config, load_config

    path = find_config(stage, options.config)
    changes = dict(_change(text) for text in options.set)
    for name in ("data", "device"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.shares is not None:
        changes["time_share"] = options.shares[stage - 1]
    config = load_config(path, changes)
    if config.stage != stage:
        raise SettingError(f"{path}: has the settings of stage {config.stage}")
    return config


def _change(text: str) -> tuple[str, Any]:
    from ..training.toml import parse_value

    name, mark, value = text.partition("=")
    if not mark:
        raise SettingError(f"--set {text}: write NAME=VALUE")
    return name.strip(), parse_value(value.strip())


def _folder_of(options: argparse.Namespace) -> Path:
    return options.out or RUNS / Path(options.config).stem


def _train(config: "RunConfig", options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..training import Trainer, to_toml
    from ..training.recipe import linked

    out = _folder_of(options)
    trainer = Trainer(linked(config, out, Path(config.data)), out / f"stage{config.stage}")
    main = trainer.accelerator.is_main_process
    if main:
        print(to_toml(trainer.config), end="\n\n")
    with tqdm(
        total=config.steps,
        initial=trainer.step,
        desc=f"stage {config.stage}",
        unit="step",
        disable=None if main else True,
    ) as bar:

        def report(done: int, total: int, numbers: dict[str, float]) -> None:
            bar.set_postfix({n: numbers[n] for n in SHOWN if n in numbers}, refresh=False)
            bar.update(done - bar.n)

        done = trainer.run(_stop_after(options.minutes), report)
    if main:
        _say_what_became(trainer, done)
    trainer.accelerator.end_training()
    return 0 if done else INTERRUPTED


def _stop_after(minutes: float | None) -> threading.Event:
    stop = threading.Event()
    if minutes is not None:
        timer = threading.Timer(60 * minutes, stop.set)
        timer.daemon = True
        timer.start()
    return stop


def _say_what_became(trainer: "Trainer", done: bool) -> None:
    for name, value in trainer.scores.items():
        if name.startswith("PSNR"):
            print(f"{name}: {value:.2f} dB")
    print(f"weights: {trainer.folder.weights}")
    if not done:
        print(
            f"Stopped after step {trainer.step} of {trainer.config.steps}; "
            "the same command goes on from there.",
            file=sys.stderr,
        )


# --------------------------------------------------------------------------------- all three stages


def _train_all(configs: "list[RunConfig]", options: argparse.Namespace) -> int:
    from ..training.parcels import write_parcels
    from ..training.recipe import run_recipe

    if options.minutes is None:
        raise SettingError("train all: give --minutes, which are divided between the stages")
    out, seconds = _folder_of(options), 60 * options.minutes
    if _is_evaluated(configs[-1]):
        seconds -= min(EVALUATION_SECONDS, seconds / 10)
    done = run_recipe(configs, out, seconds, _Teller())
    if options.parcels is not None:
        for path in write_parcels(out, options.parcels, int(options.parcels_mb) << 20):
            print(f"{path}: {path.stat().st_size:,} bytes")
    if done and _is_evaluated(configs[-1]):
        _evaluate(configs[-1], out, options.parcels)
    return 0 if done else INTERRUPTED


class _Teller:
    """Says now and then how far a recipe is, in lines that any terminal shows."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()

    def __call__(self, config: "RunConfig", seconds: float) -> "OnStep":
        self._say(f"stage {config.stage}: {seconds:.0f} s, from {config.start_from or 'the start'}")
        return self._on_step

    def _on_step(self, step: int, _: int, numbers: dict[str, float]) -> None:
        if time.monotonic() - self._said >= SAID_EVERY:
            shown = {name: f"{numbers[name]:.4g}" for name in SHOWN if name in numbers}
            scores = {
                n: f"{value:.4g}" for n, value in numbers.items() if n[:4] in ("PSNR", "eye ")
            }
            self._say(f"step {step}: {', '.join(f'{n} {v}' for n, v in (shown | scores).items())}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        print(f"[{self._said - self._began:6.1f} s] {text}", flush=True)


def _is_evaluated(config: "RunConfig") -> bool:
    """Whether there is a CodeFormer to measure; a conditioning beside one is only validated."""
    return not config.references.sides


def _evaluate(config: "RunConfig", out: Path, also: Path | None) -> None:
    """Measure what the last stage has learnt on the faces packed for it, and write samples."""
    import torch

    from ..degradation import STAGE_TWO
    from ..evaluation.evaluate import evaluate
    from ..evaluation.report import as_markdown, write_report
    from ..images import make_folder
    from ..models import load_codeformer
    from ..training.packing import EVALUATION, WEIGHTS
    from ..training.recipe import weights_of
    from .evaluate import measures_that_can_be_had

    data, weights = Path(config.data), weights_of(out, 3)
    if not (data / EVALUATION).is_dir() or not weights.is_file():
        return
    device = "cuda" if config.device == "auto" and torch.cuda.is_available() else "cpu"
    network = load_codeformer(weights, device=device)
    restores = network.variant == "restoration"
    evaluation = evaluate(
        network,
        data / EVALUATION,
        measures_that_can_be_had(data / WEIGHTS),
        fidelities=(0.0, 0.5, 1.0),
        ranges=STAGE_TWO if restores else config.strong,
        limit=EVALUATED_FACES,
    )
    damage = "strong" if restores else network.variant
    about = {"model": str(weights), "data": str(data / EVALUATION), "degradation": damage}
    print(as_markdown(evaluation, about))
    for folder in filter(None, (out / EVALUATION, also)):
        make_folder(folder)
        write_report(evaluation, folder, about)
