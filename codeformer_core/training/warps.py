"""Moving the parts of a face: where each pixel of a changed face comes from.

A grid (B, S, S, 2) holds places (x, y) in -1..1, the crop's edges, as `grid_sample` reads them.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .template import EYES, MOUTH, Point

EYE_REACH = (0.21, 0.10)
"""How far from an eye's centre it is warped, across and down."""
MOUTH_REACH = (0.30, 0.16)
TIGHTEST = 2.0
"""Most that eyelids are squeezed: to a third of their opening; more would fold the skin."""
LOWER_LID = 0.015
"""So far below its centre an eye closes."""
WIDEST_MOUTH, NARROWEST_MOUTH = 0.45, 0.8
FARTHEST_MOUTH = 0.03
"""Most that a mouth is moved."""
LARGEST_SMILE = 0.04
"""Most that its corners are raised or lowered."""
COARSE = 6
"""Points a side of the random field of displacements by which features melt."""
LARGEST_MELT = 0.035
"""Deviation of those displacements."""


class Moves(NamedTuple):
    """Numbers of a batch by which faces are moved; (B,) each, 0 leaves alone."""

    mirrored: Tensor
    """1 for a mirror image."""
    turn: Tensor
    """Radians."""
    zoom: Tensor
    """Share by which the face grows."""
    shift_x: Tensor
    """In -1..1 units."""
    shift_y: Tensor
    left_lids: Tensor
    """How far an eye is closed, 0 to 1."""
    right_lids: Tensor
    mouth_opening: Tensor
    """-1 closed to 1 open."""
    mouth_x: Tensor
    """Where it moves, -1 to 1."""
    mouth_y: Tensor
    smile: Tensor
    """-1 to 1."""


def identity_grid(size: int, device: torch.device) -> Tensor:
    """(S, S, 2): every pixel comes from its own place."""
    places = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    across, down = torch.meshgrid(places, places, indexing="xy")
    return torch.stack([across, down], dim=-1)


def moved_grid(moves: Moves, size: int, parts: bool) -> Tensor:
    """Where the pixels of moved faces come from.

    Args:
        moves: B of them.
        size: S.
        parts: whether any eye or mouth moves by itself.
    """
    here = identity_grid(size, moves.turn.device)
    x, y = here.unbind(-1)
    turn, zoom, mirrored = (
        each.view(-1, 1, 1) for each in (moves.turn, moves.zoom, moves.mirrored)
    )
    x = x * (1 - 2 * mirrored)
    cosine, sine = turn.cos() / (1 + zoom), turn.sin() / (1 + zoom)
    across = x * cosine + y * sine - moves.shift_x.view(-1, 1, 1)
    down = y * cosine - x * sine - moves.shift_y.view(-1, 1, 1)
    if parts:
        across, down = _move_parts(across, down, moves)
    return torch.stack([across, down], dim=-1)


def _move_parts(x: Tensor, y: Tensor, moves: Moves) -> tuple[Tensor, Tensor]:
    """Displace the places (B, S, S) from which eyes and mouth come."""
    down = torch.zeros_like(y)
    for centre, closed in zip(EYES, (moves.left_lids, moves.right_lids), strict=True):
        _, dy, near = _around(x, y, (centre[0], centre[1] + LOWER_LID), EYE_REACH)
        down = torch.addcmul(down, dy * near, TIGHTEST * closed.view(-1, 1, 1))
    dx, dy, near = _around(x, y, MOUTH, MOUTH_REACH)
    opening = moves.mouth_opening
    squeeze = torch.where(opening > 0, -WIDEST_MOUTH * opening, -NARROWEST_MOUTH * opening)
    raised = LARGEST_SMILE * moves.smile.view(-1, 1, 1) * (dx / MOUTH_REACH[0]).square()
    across, lowered = (
        -FARTHEST_MOUTH * each.view(-1, 1, 1) for each in (moves.mouth_x, moves.mouth_y)
    )
    down = torch.addcmul(down, near, squeeze.view(-1, 1, 1) * dy + raised + lowered)
    return torch.addcmul(x, near, across), y + down


def _around(
    x: Tensor, y: Tensor, centre: Point, reach: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor]:
    """Offsets from a centre, and a bump that is 1 there and fades within its reach."""
    dx, dy = x - centre[0], y - centre[1]
    return dx, dy, torch.exp(-(dx / reach[0]).square() - (dy / reach[1]).square())


def sample(planes: Tensor, grid: Tensor) -> Tensor:
    """Pixels (B, C, S, S) from the places of a grid; beyond the edges lies the mirror image."""
    return F.grid_sample(
        planes, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )


def melted(planes: Tensor, strength: Tensor, noise: Tensor) -> Tensor:
    """Misplace features a little, each by itself, as image generators do to small faces.

    Args:
        planes: (B, C, S, S).
        strength: (B,), 0 leaves alone, 1 the most.
        noise: (B, 2, COARSE, COARSE) standard normal numbers.
    """
    size = planes.shape[-1]
    field = F.interpolate(noise, (size, size), mode="bicubic", align_corners=False)
    moved = field.movedim(1, -1) * (LARGEST_MELT * strength.view(-1, 1, 1, 1))
    return sample(planes, identity_grid(size, planes.device) + moved)
