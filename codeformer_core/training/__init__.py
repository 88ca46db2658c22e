"""The three training stages around the degradation model."""

from .config import LossWeights, RunConfig
from .loop import Trainer
from .toml import find_config, load_config, to_toml

__all__ = ["LossWeights", "RunConfig", "Trainer", "find_config", "load_config", "to_toml"]
