"""Which stage a config describes."""

from typing import Any

import torch

from ..errors import SettingError
from .config import RunConfig
from .stage import Stage
from .stage_one import CodebookStage
from .stage_references import ReferenceStage
from .stage_three import FusionStage
from .stage_two import CodePredictionStage

KINDS: dict[int, type[Stage[Any]]] = {1: CodebookStage, 2: CodePredictionStage, 3: FusionStage}


def make_stage(config: RunConfig) -> Stage[Any]:
    """The stage a config describes, its networks built and started from what it names.

    Raises:
        MissingModelError: weights or a backbone are not there.
        CheckpointError: weights that are damaged or do not fit.
        SettingError: a setting the stage needs is missing.
    """
    if config.model.vqgan.codebook_size > torch.iinfo(torch.int16).max:
        raise SettingError("a codebook may have 32,767 codes at most")
    return (ReferenceStage if config.references.sides else KINDS[config.stage])(config)
