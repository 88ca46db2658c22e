"""Enlarging with opacity: hidden colours stay hidden."""

import pytest
import torch

from codeformer_core.images import resize, resize_visible, without_hidden
from codeformer_core.images.tensors import interpolate
from codeformer_core.pipeline.upscaling import enlarge
from codeformer_core.runtime import Runtime

GENERATOR = torch.Generator().manual_seed(0)


def cutout(hidden: float) -> torch.Tensor:
    """(1, 64, 64, 4): a disc with a soft edge, and one colour under all that it hides."""
    down, across = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    distance = ((down - 31.5) ** 2 + (across - 31.5) ** 2).sqrt()
    alpha = ((24 - distance) / 3 + 0.5).clamp(0, 1)[..., None]
    shades = 0.55 + 0.2 * torch.stack([(down / 9).sin(), (across / 7).cos(), (down / 5).cos()], 2)
    colours = shades + 0.05 * torch.rand(64, 64, 3, generator=GENERATOR)
    return torch.cat([torch.where(alpha > 0, colours, hidden), alpha], dim=2)[None]


def visible(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The range of each colour that shows."""
    return tuple(image[image[..., 3] > 0][:, :3].aminmax(dim=0))


@pytest.mark.parametrize("hidden", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("factor", [2.0, 1.5, 4.0])
def test_enlarged_colours_are_those_weighted_by_their_opacity(hidden, factor):
    image = cutout(hidden)
    larger = enlarge(image, factor)
    size = larger.shape[1:3]
    alpha = interpolate(image[..., 3:], *size)
    weighted = interpolate(image[..., :3] * image[..., 3:], *size)
    assert torch.allclose(larger[..., 3:], alpha.clamp(0, 1))
    straight = (weighted / alpha).clamp(*visible(image))
    seen = alpha[..., 0] > 0.02
    assert float((larger[..., :3] - straight)[seen].abs().max()) < 0.01


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_what_is_hidden_changes_nothing_that_is_seen(hidden):
    first, other = cutout(hidden), cutout(hidden)
    other[..., :3] = torch.where(first[..., 3:] > 0, first[..., :3], 1 - hidden)
    other[..., 3:] = first[..., 3:]
    larger = [resize_visible(image, 128, 128) for image in (first, other)]
    seen = larger[0][..., 3] > 0.001
    assert float((larger[0] - larger[1])[seen].abs().max()) < 1e-4


def test_colours_of_full_opacity_are_enlarged_as_ever():
    image = cutout(0.0)
    image[..., 3] = 1
    assert torch.allclose(enlarge(image, 2)[..., :3], enlarge(image[..., :3], 2), atol=1e-6)


def test_nothing_visible_keeps_its_colours():
    image = cutout(0.0)
    image[..., 3] = 0
    assert torch.allclose(enlarge(image, 2)[..., :3], resize(image[..., :3], 128, 128))


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_an_upscaler_sees_visible_colours_only(hidden):
    image, seen = cutout(hidden), []

    def upscaler(images: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        seen.append(images)
        return resize(images, 128, 128)

    larger = enlarge(image, 2, upscaler)
    assert larger.shape == (1, 128, 128, 4)
    (given,) = seen
    assert torch.equal(given[image[..., 3] > 0], image[..., :3][image[..., 3] > 0])
    assert 0.25 < float(given.min()), "nothing of the hidden black or white is left"
    assert float(given.max()) < 0.85


def test_hidden_colours_of_odd_sizes_are_filled():
    image = cutout(0.0)[:, :37, :53]
    assert without_hidden(image).shape == (1, 37, 53, 3)
    assert without_hidden(image[:, :1, :1] * 0).shape == (1, 1, 1, 3)
