"""What a run leaves on disk, each file replaced whole or not at all.

`weights.safetensors`: the moving average, under the published key names: ready for the next stage,
for the command line and for ComfyUI. `run.json`: settings and progress, for people and tools.
`state.pt`: everything needed to go on as if nothing had happened. `log.jsonl`: a line of losses
every few steps. `tensorboard/`: the same as curves, and sample grids.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from ..checkpoints.reader import Metadata
from ..errors import CheckpointError
from ..images import atomic_write

State = dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def weights(self) -> Path:
        """What the stage learnt."""
        return self.path / "weights.safetensors"

    @property
    def state(self) -> Path:
        """What the run needs to go on."""
        return self.path / "state.pt"

    @property
    def description(self) -> Path:
        """Settings and progress."""
        return self.path / "run.json"

    def save(self, write: Callable[[Path, Metadata], None], run: State, state: State) -> None:
        """Write a checkpoint; the state last, because a run goes on from the state.

        Args:
            write: the weights, to a path with metadata.
            run: settings and progress.
            state: what the run needs to go on.

        Raises:
            CheckpointError: the weights cannot be written.
            PictureError: the disk is full or not writable.
        """
        metadata = {"stage": str(run["stage"]), "step": str(run["step"])}
        write(self.weights, metadata)
        with atomic_write(self.description) as file:
            file.write(json.dumps(run, indent=2).encode())
        self.save_state(state)

    def save_state(self, state: State) -> None:
        """Write the state alone.

        Raises:
            PictureError: the disk is full or not writable.
        """
        with atomic_write(self.state) as file:
            _save_state(state, file)

    def load(self) -> State | None:
        """The state of the last checkpoint on the CPU; None if there is none.

        Raises:
            CheckpointError: it cannot be read.
        """
        if not self.state.is_file():
            return None
        try:
            # Not a weight file: optimiser states, written by `save` and read by nothing else.
            return torch.load(  # noqa: TID251
                self.state, map_location="cpu", weights_only=True
            )
        except Exception as error:
            raise CheckpointError(
                f"{self.state}: cannot be read ({error}); delete it to start the run anew"
            ) from error


def _save_state(state: State, file: IO[bytes]) -> None:
    """`torch.save`, but for what it says when the file cannot be written.

    Raises:
        OSError: what the file said.
    """
    try:
        torch.save(state, file)
    except RuntimeError as error:
        # Closing its archive, PyTorch complains of a wrong position and hides why it is wrong.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
