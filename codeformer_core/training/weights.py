"""Start a stage's network from a weight file."""

from pathlib import Path

from torch import nn

from ..checkpoints import read_state
from ..checkpoints.names import from_published
from ..errors import CheckpointError


def load_weights(network: nn.Module, path: Path, optional: tuple[str, ...] = ()) -> None:
    """Load weights into a network, strictly; the file's key names may be published or ours.

    Args:
        network: to load into.
        path: of the file.
        optional: parts of the network that the file may leave out.

    Raises:
        MissingModelError: no such file.
        CheckpointError: damaged, or weights of another network.
    """
    state, _ = read_state(path)
    try:
        mine = {k: each for k, each in network.state_dict().items() if k.startswith(optional)}
        network.load_state_dict({**mine, **from_published(state)})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: does not fit the sizes under [model]; use the sizes of the stage before "
            f"({reason})"
        ) from error


def load_named_weights(network: nn.Module, name: str, optional: tuple[str, ...] = ()) -> None:
    """`load_weights` of a setting that may be empty."""
    if name:
        load_weights(network, Path(name), optional)
