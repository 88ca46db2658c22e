"""The host's upscale models, tile by tile, in the hands of the memory manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from .host import Hosted, Progress, upscale_tiled

BYTES_PER_PIXEL = 4 * 3 * 384
"""Memory for the activations of a tile's pixel and factor, as the host itself estimates it."""

_hosted: WeakKeyDictionary[Any, Hosted] = WeakKeyDictionary()
"""One handle for each upscale model, while the graph holds the model."""


def upscaler(model: Any | None, progress: Progress) -> Callable[[Tensor], Tensor] | None:
    """Return what enlarges (B, H, W, 3) pictures by the model's own factor, 0..1; None for None.

    Args:
        model: from the host's Load Upscale Model.
        progress: counts the tiles; also notices Cancel.
    """
    if model is None:
        return None

    def enlarge(images: Tensor) -> Tensor:
        def run(tile: Tensor) -> Tensor:
            hosted = _handle(model)
            hosted.load(BYTES_PER_PIXEL * tile.shape[2] * tile.shape[3] * max(1, model.scale))
            return model(tile.to(hosted.device))

        planes = images.movedim(-1, 1).float().nan_to_num(0.5).clamp(0, 1)
        with torch.no_grad():
            larger = upscale_tiled(run, planes, model.scale, progress)
        return larger.clamp(0, 1).movedim(1, -1).to(images.device)

    return enlarge


def _handle(model: Any) -> Hosted:
    if model not in _hosted:
        name = getattr(getattr(model, "architecture", None), "name", "upscale model")
        # Plain layers, in the type they were loaded in.
        _hosted[model] = Hosted(model.model, name, casting=False)
    return _hosted[model]
