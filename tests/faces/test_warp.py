"""Sampling through affine maps, against the analytic pattern and against OpenCV."""

import math

import pytest
import torch
import torch.nn.functional as functional

from codeformer_core.faces import affine
from codeformer_core.faces.warp import Rectangle, block_means, enclosing, warp


def _turn(scale: float, degrees: float, x: float, y: float) -> affine.Affine:
    cosine = scale * math.cos(math.radians(degrees))
    sine = scale * math.sin(math.radians(degrees))
    return ((cosine, -sine, x), (sine, cosine, y))


def test_identity_returns_the_picture(sampled):
    picture = sampled(50, 70)
    assert torch.allclose(warp(picture, affine.IDENTITY, 50, 70), picture, atol=1e-5)


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("scale", "degrees"), [(0.2, 0), (0.7, 30), (1.0, -45), (1.0, 90)])
def test_enlarging_and_turning_hits_the_analytic_values(sampled, scale, degrees, resampling):
    to_picture = _turn(scale, degrees, 95.0, 70.0)
    seen = warp(sampled(200, 240), to_picture, 40, 50, resampling=resampling)
    # A shift by half a pixel would be off by 0.01 and more.
    assert (seen - sampled(40, 50, to_picture)).abs().max() < 2e-3


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.3, 7.9])
def test_shrinking_hits_the_area_means_of_the_pattern(pattern, scale):
    to_picture = _turn(scale, 20, 100.0, 60.0)
    rows, columns = torch.meshgrid(torch.arange(400.0), torch.arange(480.0), indexing="ij")
    seen = warp(pattern(columns / 2, rows / 2), to_picture, 20, 24)
    fine = torch.linspace(-0.5, 0.5, 33)[:-1] + 1 / 64
    (a, b, c), (d, e, f) = to_picture
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    total = torch.zeros(20, 24, 3)
    for dy in fine:
        for dx in fine:
            column, row = a * (x + dx) + b * (y + dy) + c, d * (x + dx) + e * (y + dy) + f
            total += pattern(column / 2, row / 2)
    assert (seen - total / 1024).abs().max() < 2e-3


@pytest.mark.parametrize("scale", [2.0, 3.0, 5.3, 16.0])
def test_shrinking_does_not_alias(scale):
    rows, columns = torch.meshgrid(torch.arange(400), torch.arange(400), indexing="ij")
    stripes = ((columns + rows) % 2).float().unsqueeze(-1).expand(-1, -1, 3)
    shrunk = warp(stripes, _turn(scale, 12, 90.0, 20.0), 12, 12)
    assert (shrunk - 0.5).abs().max() < 0.06


@pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 7, 12, 40])
def test_block_means_are_those_of_whole_blocks(block):
    picture = torch.rand(47, 83, 3, generator=torch.Generator().manual_seed(0))
    expected = functional.avg_pool2d(picture.movedim(-1, 0), block).movedim(0, -1)
    assert torch.allclose(block_means(picture, block), expected, atol=1e-6)
    assert torch.allclose(block_means(picture.half(), block), expected, atol=1e-3)


def test_a_constant_stays_constant_to_the_last_digit():
    picture = torch.full((300, 300, 3), 0.7)
    for scale in (0.3, 1.0, 2.7, 9.0):
        seen = warp(picture, _turn(scale, 33, 120.0, 80.0), 10, 10)
        assert (seen - 0.7).abs().max() < 1e-6


def test_values_beyond_zero_to_one_are_kept():
    picture = torch.full((20, 20, 3), -3.5)
    assert torch.allclose(warp(picture, affine.translation(3.3, 4.4), 5, 5), picture[:5, :5])


def test_border_colour_fills_what_lies_outside():
    colour = (0.1, 0.2, 0.3)
    seen = warp(torch.ones(10, 10, 3), affine.translation(-5.0, 0.0), 10, 10, border=colour)
    assert torch.allclose(seen[:, :5], torch.tensor(colour).expand(10, 5, 3), atol=1e-6)
    assert torch.allclose(seen[:, 5:], torch.ones(10, 5, 3), atol=1e-6)


def test_without_border_colour_the_edge_repeats():
    picture = torch.rand(10, 10, 3, generator=torch.Generator().manual_seed(0))
    seen = warp(picture, affine.translation(-30.0, 0.0), 10, 10)
    assert torch.allclose(seen, picture[:, :1].expand(-1, 10, -1), atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 1.0, 6.0])
def test_a_result_wholly_outside_is_border(scale):
    colour = (0.1, 0.2, 0.3)
    seen = warp(torch.ones(10, 10, 3), _turn(scale, 5, 5000.0, -3000.0), 4, 4, border=colour)
    assert torch.allclose(seen, torch.tensor(colour).expand(4, 4, 3))


def test_one_pixel_is_a_picture():
    seen = warp(torch.full((1, 1, 3), 0.25), _turn(0.01, 10, 0.0, 0.0), 8, 8)
    assert torch.allclose(seen, torch.full((8, 8, 3), 0.25))


def test_precision_holds_at_the_far_end_of_an_8k_row(pattern):
    columns = torch.arange(8192, dtype=torch.float64).expand(40, -1)
    rows = torch.arange(40, dtype=torch.float64).view(-1, 1).expand(-1, 8192)
    picture = pattern(columns, rows).float()
    seen = warp(picture, affine.translation(8100.25, 10.5), 20, 60)
    x = torch.arange(60, dtype=torch.float64) + 8100.25
    y = torch.arange(20, dtype=torch.float64) + 10.5
    expected = pattern(x.expand(20, -1), y.view(-1, 1).expand(-1, 60)).float()
    assert (seen - expected).abs().max() < 6e-4


def test_agrees_with_opencv(sampled):
    cv2 = pytest.importorskip("cv2")
    numpy = pytest.importorskip("numpy")
    picture, to_picture = sampled(200, 240), _turn(0.8, 25, 60.0, -20.0)
    expected = cv2.warpAffine(
        picture.numpy(),
        numpy.array(to_picture),
        (120, 110),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0.4, 0.5, 0.6),
    )
    seen = warp(picture, to_picture, 110, 120, border=(0.4, 0.5, 0.6))
    # OpenCV rounds positions to 1/32 pixel, which shows at the picture's edge.
    difference = (seen - torch.from_numpy(expected)).abs()
    assert difference.max() < 0.5 / 32
    assert difference.mean() < 2e-4


def test_enclosing_rectangle_holds_the_points_and_is_clipped():
    rectangle = enclosing(((-3.2, 4.0), (20.5, 7.1)))
    assert rectangle == Rectangle(-4, 4, 22, 9)
    assert rectangle.clipped(8, 15) == Rectangle(0, 4, 15, 8)
    assert rectangle.clipped(3, 15).height == 0
