"""Settings of a training run, read from a TOML file and checked."""

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..degradation import STAGE_THREE_MILD, STAGE_TWO, DegradationRange
from ..errors import SettingError
from ..networks import CodeFormerConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts; the defaults are the paper's."""

    pixel: float = 1.0
    """L_1."""
    perceptual: float = 1.0
    """L_per."""
    commitment: float = 0.25
    """beta of eq. 2 (stage I), or the weight of L_code_feat' (stages II and III)."""
    adversarial: float = 0.8
    """lambda_adv, times the adaptive weight."""
    code_token: float = 0.5
    """lambda_token of stage II."""


@dataclass(frozen=True)
class RunConfig:
    """One stage of training."""

    stage: int
    """1 codebook, 2 code prediction, 3 fusion."""
    data: str
    """Folder of aligned faces."""
    model: CodeFormerConfig = field(default_factory=CodeFormerConfig)
    """Sizes; stage I uses the autoencoder's only."""
    autoencoder: str = ""
    """Stage I weights, which stages II and III need: generator, codebook, codes of clean faces."""
    start_from: str = ""
    """Stage II weights, which stage III starts from."""
    steps: int = 10_000
    """Optimiser steps in all."""
    batch_size: int = 16
    learning_rate: float = 7e-5
    betas: tuple[float, float] = (0.9, 0.99)
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what gets saved for use."""
    warm_up: int = 100
    """Steps of linear warm-up of the learning rate."""
    final_rate: float = 0.1
    """Learning rate at the last step, as a share of the first (cosine)."""
    quantize_after: int = 0
    """Stage I: steps without the codebook before it starts from k-means."""
    adversarial_after: int = 30_001
    """First step with the adversarial loss."""
    mild_share: float = 0.0
    """Share of mildly degraded faces; the rest is degraded as in stage II."""
    strong: DegradationRange = STAGE_TWO
    mild: DegradationRange = STAGE_THREE_MILD
    losses: LossWeights = field(default_factory=LossWeights)
    precision: str = "bf16"
    """bf16 (autocast) or fp32."""
    seed: int = 0
    save_every: int = 500
    """Steps between checkpoints."""


def load_config(path: Path) -> RunConfig:
    """Read a run's settings.

    Raises:
        SettingError: not TOML, an unknown or missing setting, or a value of the wrong kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"{path}: cannot be read as TOML: {error}") from error
    return build(RunConfig, values, str(path))


def build(kind: Any, values: dict[str, Any], where: str) -> Any:
    """Make the dataclass `kind` of a table, its fields that are dataclasses of sub-tables.

    Raises:
        SettingError: an unknown or missing setting, or a value of the wrong kind.
    """
    known = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingError(f"{where}: unknown setting {unknown[0]!r}; known are {sorted(known)}")
    try:
        return kind(**{name: _convert(known[name], value, where) for name, value in values.items()})
    except TypeError as error:
        raise SettingError(f"{where}: {error}") from error


def _convert(item: dataclasses.Field[Any], value: Any, where: str) -> Any:
    """A TOML value as the field wants it.

    Raises:
        SettingError: a value of the wrong kind.
    """
    where = f"{where}: {item.name}"
    if dataclasses.is_dataclass(item.type):
        if not isinstance(value, dict):
            raise SettingError(f"{where} must be a table, got {value!r}")
        return build(item.type, value, where)
    if isinstance(value, list):
        return tuple(value)
    allowed: Any = {int: int, str: str, float: (int, float)}.get(item.type, object)
    if not isinstance(value, allowed):
        raise SettingError(f"{where} must be {item.type.__name__}, got {value!r}")
    return value
