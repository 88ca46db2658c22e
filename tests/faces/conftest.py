"""Fixtures for faces: a smooth analytic picture and faces at known places."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from codeformer_core.faces import TEMPLATE_SIZE, Box, Face, Faces, Placement, affine, landmarks_of

Pattern = Callable[[Tensor, Tensor], Tensor]
MakeFaces = Callable[..., Faces]


@pytest.fixture
def pattern() -> Pattern:
    """A smooth colour for any (x, y), in pixels of a picture of about 200 px; 0.1..0.9."""

    def colour(x: Tensor, y: Tensor) -> Tensor:
        red = torch.sin(x / 17.0 + y / 41.0)
        green = torch.cos(x / 29.0 - y / 19.0)
        blue = torch.sin((x + 2.0 * y) / 37.0)
        return 0.5 + 0.4 * torch.stack((red, green, blue), dim=-1)

    return colour


@pytest.fixture
def sampled(pattern: Pattern) -> Callable[..., Tensor]:
    """Evaluate the pattern exactly on a grid of pixels seen through an affine map."""

    def evaluate(height: int, width: int, to_pattern: affine.Affine = affine.IDENTITY) -> Tensor:
        y, x = torch.meshgrid(
            torch.arange(height, dtype=torch.float64),
            torch.arange(width, dtype=torch.float64),
            indexing="ij",
        )
        (a, b, c), (d, e, f) = to_pattern
        return pattern(a * x + b * y + c, d * x + e * y + f).float()

    return evaluate


@pytest.fixture
def make_faces() -> MakeFaces:
    """Build faces from (centre x, centre y, side of the crop in the picture, degrees, frame)."""

    def face(specification: tuple[float, ...], height: int, width: int, crop_size: int) -> Face:
        x, y, side, degrees = (*specification, 0)[:4]
        zoom, angle = side / TEMPLATE_SIZE, math.radians(degrees)
        turn = complex(math.cos(angle), math.sin(angle)) * zoom
        middle = (TEMPLATE_SIZE - 1) / 2
        shift = complex(x, y) - turn * complex(middle, middle)
        to_picture = ((turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag))
        placement = Placement(affine.invert(to_picture), TEMPLATE_SIZE, height, width)
        points = landmarks_of(placement)
        box = Box(x - 0.3 * side, y - 0.35 * side, x + 0.3 * side, y + 0.35 * side)
        return Face(box, 0.9, points, placement.rescaled(crop_size))

    def build(
        *specifications: tuple[float, ...],
        height: int = 200,
        width: int = 240,
        frames: int = 1,
        crop_size: int = TEMPLATE_SIZE,
    ) -> Faces:
        found: list[list[Face]] = [[] for _ in range(frames)]
        for one in specifications:
            found[int(one[4]) if len(one) > 4 else 0].append(face(one, height, width, crop_size))
        return Faces(tuple(map(tuple, found)), height, width)

    return build
