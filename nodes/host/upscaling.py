"""The host's upscale models, tile by tile, in smaller tiles where memory runs out."""

from __future__ import annotations

from functools import partial
from typing import Any

import comfy.utils
from torch import Tensor

from ...codeformer_core.runtime import Runtime

TILES = (512, 256, 128)
"""Sides of the tiles that an upscale model gets, from the first to what is tried at the last."""
TILE_OVERLAP = 32
BYTES_PER_PIXEL = 4 * 3 * 384
"""Memory for the activations of a tile's pixel and factor, as the host itself estimates it."""


def upscaler(model: Any | None) -> Any:
    """Return the core's `Upscaler` over a model from the host's Load Upscale Model; None for None.

    It enlarges by the model's own factor.
    """
    return None if model is None else partial(_enlarge, model)


def _enlarge(model: Any, images: Tensor, runtime: Runtime) -> Tensor:
    """Enlarge (B, H, W, 3) pictures.

    Raises:
        Exception: the host's out-of-memory error, if even the smallest tile does not fit.
    """
    planes = images.movedim(-1, 1).float().nan_to_num(0.5).clamp(0, 1)
    height, width = planes.shape[2:]
    for side in TILES:
        pixels = min(side, height) * min(side, width)
        needed = BYTES_PER_PIXEL * pixels * max(1, model.scale)
        larger = runtime.attempt(
            model.model, needed, partial(_in_tiles, model, planes, side, runtime)
        )
        if larger is not None:
            return larger.clamp(0, 1).movedim(1, -1).to(images.device)
    raise runtime.out_of_memory(model.model, f"a tile of {TILES[-1]} px in the upscale model")


def _in_tiles(model: Any, planes: Tensor, side: int, runtime: Runtime) -> Tensor:
    """Enlarge (B, 3, H, W) by the host's own tiling."""
    device = runtime.device(model.model)

    def run(tile: Tensor) -> Tensor:
        return model(tile.to(device))

    height, width = planes.shape[2:]
    size = {"tile_x": side, "tile_y": side, "overlap": TILE_OVERLAP}
    bar = _Tiles(runtime, len(planes) * comfy.utils.get_tiled_scale_steps(width, height, **size))
    return comfy.utils.tiled_scale(planes, run, upscale_amount=model.scale, pbar=bar, **size)


class _Tiles:
    """What the host's tiling takes for a progress bar."""

    def __init__(self, runtime: Runtime, total: int) -> None:
        self._runtime, self._done, self._total = runtime, 0, total

    def update(self, tiles: int) -> None:
        self._done += tiles
        self._runtime.report(self._done, self._total)
