"""Augmentation moves what it says, where it says, and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from codeformer_core.training.augmentation import LOOK, UNCHANGED, Augmentation
from codeformer_core.training.template import EYES, MOUTH, Point
from codeformer_core.training.warps import COARSE, melted

SIDE = 64


@pytest.fixture
def faces() -> Tensor:
    """(32, 64, 64, 3) uint8: one smooth random picture."""
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16)
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8).movedim(1, -1).expand(32, -1, -1, -1)


def change(faces: Tensor, augmentation: Augmentation) -> Tensor:
    """(32, 64, 64) how much each pixel changes."""
    torch.manual_seed(1)
    looks = torch.rand(len(faces), LOOK)
    return (augmentation.apply(faces, looks) - faces.movedim(-1, 1) / 255).abs().amax(1)


def near(centre: Point, reach: float) -> Tensor:
    places = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    x, y = places - centre[0], places[:, None] - centre[1]
    return (x.square() + y.square()).sqrt() < reach


@pytest.mark.parametrize(("name", "centres"), [("eyelids", EYES), ("mouth", (MOUTH,))])
def test_parts_move_by_themselves(name: str, centres: tuple[Point, ...], faces: Tensor) -> None:
    moved = change(faces, replace(UNCHANGED, **{name: 1.0}))
    around = torch.stack([near(centre, 0.65) for centre in centres]).any(0)
    assert float(moved[:, ~around].max()) < 0.02
    assert float(moved[:, around].amax(1).median()) > 0.05


def test_eyes_close_together_and_alone(faces: Tensor) -> None:
    moved = change(faces, replace(UNCHANGED, eyelids=1.0))
    left, right = (moved[:, near(eye, 0.12)].amax(1) > 0.02 for eye in EYES)
    assert (left & right).float().mean() > 0.4
    assert bool((left | right).all())
    shut = change(faces, replace(UNCHANGED, eyelids=0.5)).amax((1, 2)) > 0.02
    assert 8 <= int(shut.sum()) <= 24


def test_closed_eyes_are_lower_than_open_ones() -> None:
    """A dark bar across both eyes gets thinner, and stays where it is."""
    bright = torch.full((1, SIDE, SIDE, 3), 255, dtype=torch.uint8)
    row = round((1 + EYES[0][1]) * SIDE / 2)
    bright[:, row - 3 : row + 3] = 0
    column = round((1 + EYES[0][0]) * SIDE / 2)
    numbers = torch.full((1, LOOK), 0.5)
    numbers[0, 8] = 1.0  # how far they are closed
    closed = replace(UNCHANGED, eyelids=1.0).apply(bright.expand(1, -1, -1, -1), numbers)
    dark = 1 - closed[0, 0, :, column]
    assert 1.0 < float(dark.sum()) < 3.5
    assert float((dark * torch.arange(SIDE)).sum() / dark.sum()) == pytest.approx(row, abs=1.0)


def test_things_lie_before_some_faces(faces: Tensor) -> None:
    hidden = change(faces, replace(UNCHANGED, occluder=0.5)) > 0.02
    some = hidden.any((1, 2))
    assert 8 <= int(some.sum()) <= 24
    shares = hidden[some].float().mean((1, 2))
    assert 0.0 < float(shares.min())
    assert float(shares.max()) < 0.6


def test_hue_changes_less_than_brightness(faces: Tensor) -> None:
    torch.manual_seed(1)
    gray = torch.full_like(faces, 128)
    pixels = Augmentation(flip=0.0, warp=0.0).apply(gray, torch.rand(32, LOOK)).mean((2, 3))
    brightness = pixels.mean(1)
    assert float(brightness.std()) > 0.02
    assert float((pixels / brightness[:, None] - 1).abs().max()) < 0.05


def test_melting_leaves_what_has_no_strength(faces: Tensor) -> None:
    planes = faces[:2].movedim(-1, 1) / 255
    noise = torch.randn(2, 2, COARSE, COARSE)
    result = melted(planes, torch.tensor([0.0, 1.0]), noise)
    assert torch.allclose(result[0], planes[0], atol=1e-4)
    assert float((result[1] - planes[1]).abs().mean()) > 0.01
