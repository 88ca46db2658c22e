"""How good the averaged network is on faces it does not train on."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..images import from_network
from ..metrics import psnr
from .colour_loss import lab
from .components import IRIS_PATCHES, iris_colours
from .data import Batch
from .stage import Stage

GRID_FACES = 8
"""Rows of a sample grid, at most."""


class Validation(NamedTuple):
    """Result of a validation."""

    scores: dict[str, float]
    """Mean over all faces, by the name of the restoration and of the metric."""
    grid: Tensor
    """(H, W, 3) in 0..1: a row a face; input, restorations, clean face."""


@torch.no_grad()
def validate(stage: Stage[Any], network: nn.Module, batches: Iterable[Batch]) -> Validation:
    """Restore validation batches with a network of the stage, and measure.

    Args:
        stage: knows how to restore, and holds the perceptual backbone if there is one.
        network: the moving average.
        batches: at least one, on the network's device.
    """
    sums: dict[str, float] = {}
    count = 0
    grid: Tensor | None = None
    for batch in batches:
        pictures = stage.restorations(network, batch)
        if batch.degraded is not None:
            pictures = {"input": batch.degraded, **pictures}
        for name, value in _scores(stage, pictures, batch.clean).items():
            sums[name] = sums.get(name, 0.0) + value
        count += len(batch.clean)
        if grid is None:
            grid = _grid([*pictures.values(), batch.clean])
    assert grid is not None
    return Validation({name: total / count for name, total in sums.items()}, grid)


def _scores(stage: Stage[Any], pictures: dict[str, Tensor], clean: Tensor) -> dict[str, float]:
    """Sums over the batch."""
    scores = {}
    for name, restored in pictures.items():
        restored = restored.float().clamp(-1, 1)
        scores[f"PSNR {name}"] = float(psnr(from_network(restored), from_network(clean)).sum())
        yellow = (iris_lab(restored) - iris_lab(clean))[:, 2]
        scores[f"iris b* {name}"] = float(yellow.sum())
        if (perceptual := stage.image_losses.perceptual) is not None:
            scores[f"L_per {name}"] = float(perceptual(restored, clean).sum())
        if (identity := stage.image_losses.identity) is not None:
            distance = identity.distance(from_network(restored), from_network(clean))
            scores[f"identity {name}"] = float(distance.sum())
    return scores


def iris_lab(pictures: Tensor) -> Tensor:
    """(B, 3) mean L*, a*, b* of the irises: where each face's eyes are darkest.

    By b* brown eyes differ most from blue ones: yellow is above 0.

    Args:
        pictures: (B, 3, S, S) in -1..1.
    """
    colours = lab(iris_colours(pictures)).flatten(2)
    darkest = colours[:, 0].topk(IRIS_PATCHES**2 // 6, largest=False).indices
    irises = colours.gather(2, darkest.unsqueeze(1).expand(-1, 3, -1))
    return 100 * irises.mean(2).view(2, -1, 3).mean(0)


def _grid(columns: list[Tensor]) -> Tensor:
    """Columns of (B, 3, S, S) in -1..1 as one picture."""
    shown = [from_network(column[:GRID_FACES]).cpu() for column in columns]
    return torch.cat([torch.cat(list(row), dim=1) for row in zip(*shown, strict=True)])
