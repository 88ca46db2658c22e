"""A first guess of what is hidden: the mean face, in the colours of what surrounds it."""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ..images import read_picture, resize

MEAN_FACE = Path(__file__).parents[1] / "weights" / "mean_face.png"
"""The aligned training faces on average, (64, 64), the same on the left and on the right."""
WINDOW = 1 / 16
"""Side of the square around a pixel, as a share of the crop's, by which a hole is deep there."""
EDGE, INSIDE = 0.5, 0.9
"""Shares of that square which are hidden: up to where the network has no say, from where all."""
SMALLEST = 1e-6
RELAXATIONS = 6
"""At every level of a pyramid; two hundred leave no less of a step at the edge of a hole."""


def surroundings(crops: Tensor, hidden: Tensor) -> Tensor:
    """What is around holes, continued into them; the mean face, where nothing is left to see.

    Args:
        crops: (n, S, S, 3) aligned faces in 0..1.
        hidden: (n, S, S) bool.

    Returns:
        (n, S, S, 3) in 0..1, the same as `crops` where nothing is hidden.
    """
    nothing_seen = hidden.all(2).all(1)[:, None, None, None]
    return torch.where(nothing_seen, _mean_faces(crops), spread(crops, ~hidden))


def with_mean_face(crops: Tensor, hidden: Tensor) -> Tensor:
    """Draw the mean face into holes, in the colours that are there.

    A network that restores takes a smooth face for a damaged one, and nothing at all for what it
    is.

    Args:
        crops: (n, S, S, 3) aligned faces in 0..1, whose holes hold their `surroundings`.
        hidden: (n, S, S) bool.

    Returns:
        (n, S, S, 3) in 0..1, the same as `crops` where nothing is hidden.
    """
    mean = _mean_faces(crops)
    drawn = (crops + mean - surroundings(mean, hidden)).clamp(0, 1)
    return torch.where(hidden[..., None], drawn, crops)


def _mean_faces(crops: Tensor) -> Tensor:
    """The mean face for each of (n, S, S, 3) crops."""
    side = int(crops.shape[1])
    return resize(mean_face()[None].to(crops), side, side).expand_as(crops)


def depth(hidden: Tensor) -> Tensor:
    """How much of what a network draws is taken rather than what surrounds it.

    Nothing in a scratch and at the edge of a hole, where what is next to it says more; all of it
    inside.

    Args:
        hidden: (n, S, S) bool.

    Returns:
        (n, 1, S, S) float32 in 0..1.
    """
    reach = max(1, round(WINDOW * hidden.shape[-1] / 2))
    share = functional.avg_pool2d(
        hidden[:, None].float(), 2 * reach + 1, 1, reach, count_include_pad=False
    )
    return ((share - EDGE) / (INSIDE - EDGE)).clamp(0, 1)


@lru_cache(maxsize=1)
def mean_face() -> Tensor:
    """(64, 64, 3) float32 in 0..1."""
    return read_picture(MEAN_FACE).pixels.float()


def spread(values: Tensor, known: Tensor) -> Tensor:
    """Continue maps smoothly where they are not known.

    Every level of a pyramid holds the mean of what is known below; each is filled from the one
    above (push and pull, S. J. Gortler et al., "The Lumigraph", 1996) and relaxed, so that no edge
    is left around a hole.

    Args:
        values: (n, S, S, C).
        known: (n, S, S) bool.

    Returns:
        (n, S, S, C), the same as `values` where they are known; 0 if nothing is.
    """
    weight = known[:, None].to(values)
    weighted = torch.where(known[..., None], values, torch.zeros_like(values)).movedim(-1, 1)
    levels = [(weighted, weight)]
    while weight.shape[-1] > 1:
        weighted, weight = _halved(weighted), _halved(weight)
        levels.append((weighted, weight))
    weighted, weight = levels.pop()
    filled = weighted / weight.clamp_min(SMALLEST)
    for weighted, weight in reversed(levels):
        side = weight.shape[-1]
        above = functional.interpolate(filled, (side, side), mode="bilinear", align_corners=False)
        filled = weighted + (1 - weight) * above
        for _ in range(RELAXATIONS):
            blurred = functional.avg_pool2d(functional.pad(filled, (1, 1, 1, 1), "replicate"), 3, 1)
            filled = weighted + (1 - weight) * blurred
    return filled.movedim(1, -1)


def _halved(maps: Tensor) -> Tensor:
    return functional.avg_pool2d(maps, 2, ceil_mode=True)
