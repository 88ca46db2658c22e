"""Each image loss sees what it is meant to see, and passes gradients to the picture."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.training import image_losses
from codeformer_core.training.colour_loss import colour_loss, lab
from codeformer_core.training.components import component_crops
from codeformer_core.training.config import LossWeights, RunConfig
from codeformer_core.training.image_losses import ImageLosses
from codeformer_core.training.template import EYES, MOUTH
from codeformer_core.training.validation import iris_lab

MakeConfig = Callable[..., RunConfig]


class Brightness(nn.Module):
    """Two pictures are as far apart as they are bright; descriptors likewise."""

    def __init__(self, weights: object = None) -> None:
        super().__init__()

    def forward(self, pictures: Tensor, targets: Tensor) -> Tensor:
        return (pictures - targets).mean((1, 2, 3)).abs()

    def embed(self, crops: Tensor) -> Tensor:
        return crops.mean((1, 2))


@pytest.fixture
def losses(run_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ImageLosses]:
    monkeypatch.setattr(image_losses, "PerceptualDistance", Brightness)
    monkeypatch.setattr(image_losses, "IdentityNetwork", Brightness)
    none = LossWeights(pixel=0.0, perceptual=0.0)
    return lambda **weights: ImageLosses(run_config(losses=replace(none, **weights)))


def test_sum_is_that_of_the_weighted_losses(losses: Callable[..., ImageLosses]) -> None:
    weights = {"pixel": 2.0, "perceptual": 1.5, "components": 0.5, "colour": 3.0, "iris": 2.5}
    weights["identity"] = 4.0
    pictures, targets = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    total, logged = losses(**weights)(pictures, targets)
    names = {"pixel": "L_1", "perceptual": "L_per", "components": "L_parts", "colour": "L_colour"}
    names |= {"iris": "L_iris", "identity": "L_id"}
    assert set(logged) == set(names.values())
    expected = sum(weights[key] * logged[name] for key, name in names.items())
    assert torch.allclose(total, torch.as_tensor(expected))


def test_losses_without_a_weight_are_left_out(losses: Callable[..., ImageLosses]) -> None:
    pictures, targets = torch.rand(2, 1, 3, 64, 64)
    assert set(losses()(pictures, targets)[1]) == {"L_1"}


def test_share_of_the_perceptual_loss_is_each_faces_own(
    losses: Callable[..., ImageLosses],
) -> None:
    pictures = torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)])
    share = torch.tensor([1.0, 0.25])
    total, logged = losses(perceptual=2.0)(pictures, torch.zeros_like(pictures), share)
    assert float(total) == pytest.approx(2.0 * 0.25 / 2)
    assert float(logged["L_per"]) == pytest.approx(0.5)  # as it is, unweighted


def test_components_are_eyes_and_mouth() -> None:
    planes = torch.zeros(1, 1, 256, 256)
    for number, (x, y) in enumerate((*EYES, MOUTH), start=1):
        column, row = round((1 + x) * 128), round((1 + y) * 128)
        planes[0, 0, row - 2 : row + 2, column - 2 : column + 2] = number
    crops = component_crops(planes)
    assert crops.shape == (3, 1, 96, 96)
    for number, crop in enumerate(crops[:, 0], start=1):
        assert float(crop.max()) == pytest.approx(number, abs=0.2)
        assert float(crop[40:56, 40:56].max()) == float(crop.max())


def test_lab_has_the_known_values() -> None:
    colours = {
        (1.0, 1.0, 1.0): (100.0, 0.0, 0.0),
        (1.0, 0.0, 0.0): (53.24, 80.09, 67.20),
        (0.0, 0.0, 1.0): (32.30, 79.19, -107.86),
        (0.5, 0.5, 0.5): (53.39, 0.0, 0.0),
        (0.01, 0.01, 0.01): (0.70, 0.0, 0.0),
    }
    planes = torch.tensor(list(colours)).view(-1, 3, 1, 1) * 2 - 1
    expected = torch.tensor(list(colours.values()))
    assert torch.allclose(lab(planes).view(-1, 3) * 100, expected, atol=0.1)


def test_colour_loss_sees_a_cast_and_no_detail() -> None:
    torch.manual_seed(0)
    flat = torch.zeros(1, 3, 64, 64)
    detail = torch.tensor([-0.1, 0.1]).repeat(32).expand(1, 3, 64, 64)
    cast = flat + torch.tensor([0.1, 0.0, -0.1]).view(1, 3, 1, 1)
    assert colour_loss(detail, flat) < 0.1 * colour_loss(cast, flat)
    picture = (torch.rand(1, 3, 64, 64) * 2.4 - 1.2).requires_grad_()
    colour_loss(picture, flat).backward()
    assert picture.grad is not None
    assert picture.grad.isfinite().all()
    assert float(picture.grad.abs().sum()) > 0


BROWN, BLUE = (-0.5, -0.65, -0.8), (-0.6, -0.45, -0.1)


def eyes(colour: tuple[float, float, float], look: int = 0) -> Tensor:
    """(1, 3, 256, 256) skin with irises of 10 px, which look so many px aside."""
    face = torch.full((1, 3, 256, 256), 0.2)
    for x, y in EYES:
        column, row = round((1 + x) * 128) + look, round((1 + y) * 128)
        iris = face[0, :, row - 5 : row + 5, column - 5 : column + 5]
        iris[:] = torch.tensor(colour)[:, None, None]
    return face


@pytest.mark.parametrize("look", (-5, 0, 5))
def test_irises_are_found_wherever_they_look(look: int) -> None:
    brown, blue = eyes(BROWN, look), eyes(BLUE, look)
    for face, colour in ((brown, BROWN), (blue, BLUE)):
        true = 100 * lab(torch.tensor(colour).view(1, 3, 1, 1)).flatten()
        assert torch.allclose(iris_lab(face)[0], true, atol=8)
    assert float((iris_lab(blue) - iris_lab(brown))[0, 2]) < -15


def test_iris_loss_sees_little_else(losses: Callable[..., ImageLosses]) -> None:
    loss = losses(iris=2.0)
    total, logged = loss(eyes(BLUE), eyes(BROWN))
    assert float(total) == pytest.approx(2 * float(logged["L_iris"]))
    other_mouth = eyes(BROWN)
    other_mouth[:, :, 170:] = BLUE[0]
    assert float(loss(other_mouth, eyes(BROWN))[0]) == 0
    assert float(total) > 20 * float(losses(colour=2.0)(eyes(BLUE), eyes(BROWN))[0])
