"""All three stages in a given time, each from what the one before left.

A run can be given time again and again: every stage goes on from where it was, on what the stages
before it have become meanwhile, and its learning rate rises anew.
"""

import gc
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import MissingModelError
from .config import RunConfig
from .loop import OnStep, Trainer
from .packing import RUN, START, WEIGHTS
from .parcels import PARTS, read_parcels

OnStage = Callable[[RunConfig, float], OnStep | None]
"""Called before a stage with its settings and the seconds it has; gives what to call each step."""
SAVING_SECONDS = 5.0
"""Kept back for each stage's last checkpoint and validation."""


def run_recipe(
    configs: Sequence[RunConfig],
    out: Path,
    seconds: float,
    on_stage: OnStage,
    stop: threading.Event | None = None,
) -> bool:
    """Train the stages one after the other; what one leaves of its time is the others'.

    Args:
        configs: settings of the three stages; `data` is a packed folder, or any other faces.
        out: folder of the run; begun, or gone on with.
        seconds: for all stages together, in proportion to their `time_share`.
        on_stage: told of every stage.
        stop: ends the recipe after the present step.

    Returns:
        Whether all stages had their time.

    Raises:
        CheckpointError, MissingModelError, PictureError, SettingError: as a `Trainer`.
    """
    stop = stop or threading.Event()
    ends = time.monotonic() + seconds
    packed = Path(configs[0].data)
    if not out.exists() and any((packed / RUN).glob(PARTS)):
        read_parcels(packed / RUN, out)
    for index, config in enumerate(configs):
        if not config.time_share:
            continue
        shares = sum(each.time_share for each in configs[index:])
        began = time.monotonic()
        trainer = Trainer(linked(config, out, packed), out / f"stage{config.stage}")
        left = (ends - began) * config.time_share / shares - (time.monotonic() - began)
        left = max(0.0, left - SAVING_SECONDS)
        trainer.run(stop, on_stage(trainer.config, left), seconds=left)
        del trainer
        _free_memory()
        if stop.is_set():
            return False
    return True


def linked(config: RunConfig, out: Path, packed: Path) -> RunConfig:
    """Settings of a stage that starts from what is there: the stages before, or a packed start.

    What the settings name themselves stays.

    Raises:
        MissingModelError: nothing of what it needs is there.
    """
    if not config.backbones and (packed / WEIGHTS).is_dir():
        config = replace(config, backbones=str(packed / WEIGHTS))
    if config.stage > 1 and not config.autoencoder and not config.references.sides:
        config = replace(config, autoencoder=str(_found("autoencoder", weights_of(out, 1))))
    begun = (out / f"stage{config.stage}" / "state.pt").is_file()
    if config.start_from or begun:
        return config
    # What a packed start holds for stage II has fusions too: where that is left out, stage III's.
    given = packed / START / f"stage{min(config.stage, 2)}.safetensors"
    if config.stage == 3:
        start = _found("start_from", weights_of(out, 2), given)
    else:
        start = given if given.is_file() else ""
    return replace(config, start_from=str(start))


def _found(setting: str, *paths: Path) -> Path:
    """The first file that is there.

    Raises:
        MissingModelError: none is.
    """
    for path in paths:
        if path.is_file():
            return path
    raise MissingModelError(
        f"{paths[0]}: not there; train the stage before first, with the same --out, or name its "
        f"weights with --set {setting}=FILE"
    )


def weights_of(out: Path, stage: int) -> Path:
    """What a stage of a run has learnt."""
    return out / f"stage{stage}" / "weights.safetensors"


def _free_memory() -> None:
    """Let go of a stage's tensors before the next is built."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
