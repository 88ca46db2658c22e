"""Networks that enlarge pictures, as the package `spandrel` reads them, tile by tile."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.reader import read_weights
from ..errors import CheckpointError
from ..packages import needed_for
from ..runtime import Runtime, check_device

TILES = (512, 256, 128)
"""Sides of the tiles, from the first to what is tried at the last."""
MARGIN = 16
"""Pixels around a tile that the network sees too, so that no seam shows."""
BYTES_PER_PIXEL = 4 * 3 * 384
"""Memory for the activations of a tile's pixel and factor."""


class SpandrelUpscaler:
    """Enlarges (B, H, W, 3) pictures in 0..1 by the factor of its network.

    Called as `codeformer_core.pipeline.upscaling.Upscaler`.
    """

    def __init__(self, descriptor: Any) -> None:
        """Take what spandrel has loaded."""
        self.network: torch.nn.Module = descriptor.model
        self.scale: int = descriptor.scale
        self._descriptor = descriptor

    def __call__(self, images: Tensor, runtime: Runtime) -> Tensor:
        """Enlarge pictures.

        Raises:
            OutOfMemoryError: not even the smallest tile fits.
        """
        planes = images.movedim(-1, 1).float().nan_to_num(0.5).clamp(0, 1)
        for side in TILES:
            needed = BYTES_PER_PIXEL * (side + 2 * MARGIN) ** 2 * self.scale
            step = partial(self._in_tiles, planes, side, runtime)
            larger = runtime.attempt(self.network, needed, step)
            if larger is not None:
                return larger.clamp(0, 1).movedim(1, -1).to(images)
        raise runtime.out_of_memory(self.network, f"a tile of {TILES[-1]} px in the upscaler")

    def _in_tiles(self, planes: Tensor, side: int, runtime: Runtime) -> Tensor:
        """Enlarge (B, 3, H, W)."""
        height, width, scale = *planes.shape[2:], self.scale
        larger = planes.new_empty((*planes.shape[:2], height * scale, width * scale))
        tiles = list(_tiles(height, width, side))
        for index, (top, left) in enumerate(tiles):
            rows = slice(max(0, top - MARGIN), min(height, top + side + MARGIN))
            columns = slice(max(0, left - MARGIN), min(width, left + side + MARGIN))
            seen = self._descriptor(planes[:, :, rows, columns].to(runtime.device(self.network)))
            inside = seen[:, :, (top - rows.start) * scale :, (left - columns.start) * scale :]
            target = larger[:, :, top * scale : (top + side) * scale]
            target = target[..., left * scale : (left + side) * scale]
            target.copy_(inside[:, :, : target.shape[2], : target.shape[3]])
            runtime.report(index + 1, len(tiles))
        return larger


def load_upscaler(path: str | Path, *, device: torch.device | str = "cpu") -> SpandrelUpscaler:
    """Load a network that enlarges, such as a Real-ESRGAN.

    Raises:
        MissingModelError: there is no such file, or spandrel is not installed.
        CheckpointError: the file is damaged, or no upscaler of pictures.
        SettingError: the device cannot be used.
    """
    place, file = check_device(device), read_weights(path)
    with needed_for(file.path.name, "spandrel"):
        import spandrel
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(dict(file.state))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"{file.path.name}: is no upscaler of spandrel's ({reason})"
        ) from error
    if descriptor.purpose != "SR" or descriptor.input_channels != 3:
        raise CheckpointError(f"{file.path.name}: does not enlarge pictures")
    descriptor.to(place).eval()
    descriptor.model.requires_grad_(False)
    return SpandrelUpscaler(descriptor)


def _tiles(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    """Top and left of every tile."""
    return ((top, left) for top in range(0, height, side) for left in range(0, width, side))
