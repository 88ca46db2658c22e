"""Weights of a run on disk: what the stage learnt, in safetensors, written atomically."""

import os
from pathlib import Path

from torch import Tensor, nn

from ..errors import CheckpointError


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a stage's weights into its network, strictly.

    Raises:
        CheckpointError: no such file, or weights of another network.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"{path}: not there; run the stage before, or correct the setting")
    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: does not fit the sizes under [model]; use the sizes of the stage before"
        ) from error


def save_weights(state: dict[str, Tensor], metadata: dict[str, str], path: Path) -> None:
    """Write weights so that `path` is always either the old or the new file, never half of one."""
    from safetensors.torch import save_file

    part = path.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, part, metadata)
    os.replace(part, path)
