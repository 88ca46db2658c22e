"""`codeformer train`: train a stage."""

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingModelError, SettingError
from .options import Commands, number_between

if TYPE_CHECKING:
    from ..training import RunConfig, Trainer

RUNS = Path("runs")
INTERRUPTED = 130
SHOWN = ("L_1", "L_per", "L_code_token", "accuracy", "codes used")
"""Numbers beside the progress bar, as far as the stage has them."""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train one of the three stages",
        description="Train a stage: 1 codebook, 2 code prediction, 3 fusion. The same command "
        "goes on after Ctrl-C or a crash. `accelerate launch -m codeformer_core train ...` "
        "trains on several GPUs or machines.",
    )
    parser.add_argument("stage", type=int, choices=(1, 2, 3), metavar="STAGE")
    parser.add_argument(
        "config", metavar="CONFIG", help="a TOML file, or a family such as builtin_128"
    )
    parser.add_argument("--data", metavar="PATH", help="aligned faces: a folder, or tar shards")
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
        "--minutes",
        type=number_between(0, 1e6),
        metavar="N",
        help="stop cleanly after so many minutes, as Ctrl-C does",
    )
    parser.add_argument(
        "--print", action="store_true", help="only print all settings, as a TOML file"
    )
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..training import Trainer, to_toml

    config, out = read_settings(options)
    if options.print:
        print(to_toml(config))
        return 0
    _check_stage_before(config)
    trainer = Trainer(config, out / f"stage{config.stage}")
    if trainer.accelerator.is_main_process:
        print(to_toml(config), end="\n\n")
    return _train(trainer, options.minutes)


def read_settings(options: argparse.Namespace) -> "tuple[RunConfig, Path]":
    """Settings of the run, and the folder of all its stages.

    Raises:
        SettingError: settings that are unknown, of the wrong kind, or of another stage.
    """
    from ..training import find_config, load_config

    path = find_config(options.stage, options.config)
    shipped = path != Path(options.config)
    out = options.out or RUNS / (options.config if shipped else path.stem)
    changes = dict(_change(text) for text in options.set)
    if options.data is not None:
        changes["data"] = options.data
    config = load_config(path, changes)
    if config.stage != options.stage:
        raise SettingError(f"{path}: has the settings of stage {config.stage}")
    return _after_stage_before(config, out), out


def _change(text: str) -> tuple[str, Any]:
    from ..training.toml import parse_value

    name, mark, value = text.partition("=")
    if not mark:
        raise SettingError(f"--set {text}: write NAME=VALUE")
    return name.strip(), parse_value(value.strip())


def _after_stage_before(config: "RunConfig", out: Path) -> "RunConfig":
    """Let a stage start from what the stages before left in the same folder."""
    from dataclasses import replace

    autoencoder, codes = (str(out / f"stage{n}" / "weights.safetensors") for n in (1, 2))
    if config.stage > 1 and not config.autoencoder:
        config = replace(config, autoencoder=autoencoder)
    if config.stage == 3 and not config.start_from:
        config = replace(config, start_from=codes)
    return config


def _check_stage_before(config: "RunConfig") -> None:
    for name in ("autoencoder", "start_from"):
        path = getattr(config, name)
        if path and not Path(path).is_file():
            raise MissingModelError(
                f"{path}: not there; train the stage before first, with the same --out, or name "
                f"its weights with --set {name}=FILE"
            )


def _train(trainer: "Trainer", minutes: float | None) -> int:
    from tqdm import tqdm

    stop = threading.Event()
    if minutes is not None:
        timer = threading.Timer(60 * minutes, stop.set)
        timer.daemon = True
        timer.start()
    main = trainer.accelerator.is_main_process
    with tqdm(
        total=trainer.config.steps,
        initial=trainer.step,
        desc=f"stage {trainer.config.stage}",
        unit="step",
        disable=None if main else True,
    ) as bar:

        def report(done: int, total: int, numbers: dict[str, float]) -> None:
            bar.set_postfix({n: numbers[n] for n in SHOWN if n in numbers}, refresh=False)
            bar.update(done - bar.n)

        done = trainer.run(stop, report)
    if main:
        _say_what_became(trainer, done)
    trainer.accelerator.end_training()
    return 0 if done else INTERRUPTED


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
