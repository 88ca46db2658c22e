"""Weights that the stages of a new run begin with."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from ..checkpoints import read_state, save_network, write_state
from ..checkpoints.names import from_published
from ..checkpoints.write import config_metadata
from ..errors import CheckpointError
from ..images import make_folder
from ..models import load_network, load_vqgan
from ..models.load import find_restorer
from ..networks import VQGAN, CodeFormer, CodeFormerConfig
from .growing import grow
from .packing import START
from .stage_two import PRIOR


def pack_start(
    out: Path, model: CodeFormerConfig, stage_one: Path, smaller: str | None, outer: Path | None
) -> Iterator[tuple[Path, int]]:
    """Put weights that stages I and II begin with into a packed folder, in float16.

    Args:
        out: the packed folder.
        model: sizes of the run.
        stage_one: an autoencoder of these sizes; its generator may have fewer blocks.
        smaller: a CodeFormer of half the size, as which stage II's network begins; None leaves
            stage II to begin with stage I's encoder.
        outer: tensors of the larger one's outer blocks, fitted to the smaller one's inner ones.

    Yields:
        Each file, and how many of its tensors are new.

    Raises:
        MissingModelError: a file is not there.
        CheckpointError: a file is damaged, of another kind or size, or cannot be written.
    """
    make_folder(out / START)
    torch.manual_seed(0)
    autoencoder = VQGAN(model.vqgan)
    new = grow(autoencoder, _of_these_levels(stage_one, model))
    yield save_network(out / START / "stage1.safetensors", autoencoder.half()), len(new)
    if smaller is None:
        return
    network = CodeFormer(model)
    new = set(grow(network, load_network(find_restorer(smaller))))
    state = network.state_dict()
    if outer is not None:
        given = from_published(read_state(outer)[0])
        state |= given
        new -= set(given)
    kept = {k: each.half() for k, each in state.items() if not k.startswith(PRIOR)}
    path = out / START / "stage2.safetensors"
    yield write_state(path, kept, config_metadata(model)), len(new & set(kept))


def _of_these_levels(path: Path, model: CodeFormerConfig) -> VQGAN:
    """An autoencoder that differs in its generator's blocks at most.

    Raises:
        CheckpointError: it has other sizes.
    """
    autoencoder = load_vqgan(path)
    if replace(autoencoder.config, generator_blocks=()) != replace(
        model.vqgan, generator_blocks=()
    ):
        raise CheckpointError(
            f"{path}: does not fit the sizes under [model] of stage I: {autoencoder.config}"
        )
    return autoencoder
