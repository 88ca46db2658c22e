"""Colorization gives colours."""

import pytest
import torch
from torch import nn

from codeformer_core.faces import Box, Face, Faces, landmarks_of
from codeformer_core.faces.types import Placement
from codeformer_core.images import resize
from codeformer_core.pipeline import colorize
from codeformer_core.runtime import Runtime


class Painter(nn.Module):
    """A network that makes every pixel one colour and remembers its input."""

    size = 32
    variant = "colorization"
    bytes_per_face = 1e6
    notice = None

    def __init__(self, colour=(1.0, -1.0, -1.0)) -> None:
        super().__init__()
        self.colour = torch.tensor(colour).view(1, 3, 1, 1)
        self.seen: list[torch.Tensor] = []

    def forward(self, crops, fidelity=0.5, adain=None):
        self.seen.append(crops)
        return self.colour.expand_as(crops).clone()


def face(x: float) -> Face:
    placement = Placement(((0.8, 0, 16 - 0.8 * x), (0, 0.8, -8)), 32, 60, 100)
    return Face(Box(x - 12, 18, x + 12, 42), 0.9, landmarks_of(placement), placement)


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(2, 48, 48, 3, generator=torch.Generator().manual_seed(1)) * 0.9


def test_colorization_sees_gray_and_gives_colours(crops) -> None:
    painter = Painter()
    coloured = colorize(painter, crops).images
    seen = painter.seen[0]
    torch.testing.assert_close(seen[:, 0], seen[:, 2])
    assert torch.equal(coloured[0, 0, 0], torch.tensor([1.0, 0, 0]))


def test_kept_light_is_the_pictures_own() -> None:
    crops = torch.linspace(0.2, 0.5, 32).view(1, 1, 32, 1).expand(1, 32, 32, 3)
    coloured = colorize(Painter((0.3, 0.1, -0.1)), crops, keep_light=True).images
    assert (coloured[..., 0] - coloured[..., 2]).min() > 0.01
    luminance = coloured @ torch.tensor([0.2126, 0.7152, 0.0722])
    torch.testing.assert_close(luminance, crops[..., 0], atol=0.03, rtol=0)


def test_a_face_that_fails_keeps_its_colours(crops) -> None:
    coloured = colorize(Painter((float("nan"),) * 3), crops)
    expected = resize(crops, 32, 32)
    assert torch.equal(coloured.images, expected)
    assert coloured.mask.max() == 0
    assert "faces 1, 2 of 2" in coloured.warnings[0]


def test_faces_of_whole_pictures_get_colours_and_opacity_stays() -> None:
    images = torch.rand(1, 60, 100, 4)
    faces = Faces(((face(25), face(75)),), 60, 100)
    result = colorize(Painter(), images, faces=faces, runtime=Runtime(batch_size=1))
    torch.testing.assert_close(result.images[0, 30, 25, :3], torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(result.images[0, 30, 75, :3], torch.tensor([1.0, 0, 0]))
    assert torch.equal(result.images[..., 3], images[..., 3])
    assert torch.equal(result.images[result.mask == 0], images[result.mask == 0])
