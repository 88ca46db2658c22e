"""Things before a face: a hand, hair, a microphone."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .warps import identity_grid

OUTSIDE = 1.5
"""Distance from the face's centre at which things begin, beyond the crop's edge."""
FARTHEST_END = 0.7
"""Distance from the centre within which they end."""
THINNEST, THICKEST = 0.05, 0.3
"""Half their width."""
FARTHEST_FILL = 0.8
"""How far away in the picture what fills them is taken from."""
FLATTEST = 0.7
"""Share of the one colour, at most."""
TINT = 0.5
"""How far apart the channels of that colour may be."""


class Things(NamedTuple):
    """Numbers from 0 to 1 of a batch that say where things lie and what they look like; (B,)."""

    there: Tensor
    """1 where there is one, else 0."""
    direction: Tensor
    """From where it comes."""
    end_direction: Tensor
    end_distance: Tensor
    width: Tensor
    fill_x: Tensor
    """Where what fills it is taken from."""
    fill_y: Tensor
    flat: Tensor
    """How much of one colour it is."""
    shade: Tensor
    """How bright that is."""
    red: Tensor
    green: Tensor
    blue: Tensor


def covered(planes: Tensor, things: Things) -> Tensor:
    """Lay a thing over each face that has one.

    It reaches in from the edge, is filled with another place of the same picture (skin, hair,
    cloth) and tinted towards one colour.

    Args:
        planes: (B, 3, S, S) in 0..1.
        things: B of them.
    """
    size = planes.shape[-1]
    grid = identity_grid(size, planes.device)
    shift = (torch.stack([things.fill_x, things.fill_y], dim=1) * 2 - 1) * FARTHEST_FILL
    fill = F.grid_sample(
        planes, grid + shift[:, None, None], padding_mode="reflection", align_corners=False
    )
    tint = torch.stack([things.red, things.green, things.blue], dim=1) - 0.5
    colour = (things.shade[:, None] + TINT * tint).clamp(0, 1)[..., None, None]
    fill = torch.lerp(fill, colour, FLATTEST * things.flat.view(-1, 1, 1, 1))
    inside = (_half_width(things) - _distance(grid, things)) * size / 2
    mask = (inside + 0.5).clamp(0, 1) * things.there.view(-1, 1, 1)
    return torch.lerp(planes, fill, mask[:, None])


def _half_width(things: Things) -> Tensor:
    return THINNEST + (THICKEST - THINNEST) * things.width.view(-1, 1, 1)


def _distance(grid: Tensor, things: Things) -> Tensor:
    """Distance of each pixel from the middle line of each thing: (B, S, S)."""
    start = OUTSIDE * _direction(things.direction)
    end = FARTHEST_END * things.end_distance.view(-1, 1) * _direction(things.end_direction)
    along = (end - start)[:, None, None]
    offset = grid - start[:, None, None]
    share = (offset * along).sum(-1) / along.square().sum(-1)
    return (offset - share.clamp(0, 1)[..., None] * along).norm(dim=-1)


def _direction(turn: Tensor) -> Tensor:
    """(B,) shares of a full turn to (B, 2) directions."""
    angle = 2 * math.pi * turn
    return torch.stack([angle.cos(), angle.sin()], dim=1)
