"""Weights that the stages of a new run begin with."""

from collections.abc import Iterator
from pathlib import Path

import torch

from ..checkpoints import read_state, save_network, write_state
from ..checkpoints.names import from_published
from ..checkpoints.write import config_metadata
from ..images import make_folder
from ..models import load_network
from ..models.load import find_restorer
from ..networks import VQGAN, CodeFormer, CodeFormerConfig
from .growing import grow
from .packing import START
from .stage_two import PRIOR
from .weights import load_weights


def pack_start(
    out: Path, model: CodeFormerConfig, stage_one: Path, smaller: str | None, outer: Path | None
) -> Iterator[tuple[Path, int]]:
    """Put weights that stages I and II begin with into a packed folder, in float16.

    Args:
        out: the packed folder.
        model: sizes of the run.
        stage_one: an autoencoder of these sizes.
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
    autoencoder = VQGAN(model.vqgan)
    load_weights(autoencoder, stage_one)
    yield save_network(out / START / "stage1.safetensors", autoencoder.half()), 0
    if smaller is None:
        return
    torch.manual_seed(0)
    network = CodeFormer(model)
    new = set(grow(network, load_network(find_restorer(smaller)).state_dict()))
    state = network.state_dict()
    if outer is not None:
        given = from_published(read_state(outer)[0])
        state |= given
        new -= set(given)
    kept = {k: each.half() for k, each in state.items() if not k.startswith(PRIOR)}
    path = out / START / "stage2.safetensors"
    yield write_state(path, kept, config_metadata(model)), len(new & set(kept))
