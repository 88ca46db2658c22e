"""What a run tells while it runs: a log, TensorBoard curves and sample grids."""

import io
import json
import warnings
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..images import atomic_write, writing_errors


class Reporter(Protocol):
    """Receives what a run has to tell."""

    def scalars(self, step: int, values: dict[str, float], group: str = "train") -> None:
        """Numbers by name."""
        ...

    def pictures(self, step: int, grid: Tensor) -> None:
        """A (H, W, 3) picture in 0..1."""
        ...

    def close(self) -> None:
        """Write what is still waiting."""
        ...


class FolderReporter:
    """Writes `log.jsonl`, TensorBoard files (where that is installed) and `samples.jpg`.

    Args:
        folder: of the run.
        step: at which the run goes on; what was logged after it is forgotten.

    Raises:
        PictureError: here and in all that follows: the disk is full or not writable.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder, self.log = folder, folder / "log.jsonl"
        _forget_after(self.log, step)
        self.curves = folder / "tensorboard"
        self._board = _summary_writer(self.curves, step)

    def scalars(self, step: int, values: dict[str, float], group: str = "train") -> None:
        line = {"step": step, "group": group, **{k: round(v, 6) for k, v in values.items()}}
        with writing_errors(self.log), self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if self._board is not None:
            with writing_errors(self.curves):
                for name, value in values.items():
                    self._board.add_scalar(f"{group}/{name}", value, step)

    def pictures(self, step: int, grid: Tensor) -> None:
        from PIL import Image

        pixels = (grid.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        encoded = io.BytesIO()  # in memory, for Pillow hides why it could not write to a file
        Image.fromarray(pixels).save(encoded, "JPEG", quality=92)
        with atomic_write(self.folder / "samples.jpg") as file:
            file.write(encoded.getbuffer())
        if self._board is not None:
            with writing_errors(self.curves):
                self._board.add_image("samples", pixels, step, dataformats="HWC")

    def close(self) -> None:
        if self._board is not None:
            with writing_errors(self.curves):
                self._board.close()


class Silent:
    """Tells nothing: for all processes but the first."""

    def scalars(self, step: int, values: dict[str, float], group: str = "train") -> None:
        pass

    def pictures(self, step: int, grid: Tensor) -> None:
        pass

    def close(self) -> None:
        pass


def _forget_after(log: Path, step: int) -> None:
    """Remove lines of steps that a killed run made after its last checkpoint."""
    if not log.is_file():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # the line at which the run was killed
            continue
    with atomic_write(log) as file:
        file.write("".join(kept).encode())


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside TensorBoard
            from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    with writing_errors(folder):
        return SummaryWriter(str(folder), purge_step=step or None)
