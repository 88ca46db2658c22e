"""The batched path on a device does what the path picture by picture does."""

import numpy as np
import pytest
import torch
from torch import Tensor

from codeformer_core.degradation import (
    STAGE_TWO,
    Degradation,
    DegradationRange,
    degrade,
    degrade_batch,
)
from codeformer_core.errors import SettingError


@pytest.fixture(scope="module")
def face(astronaut: Tensor) -> Tensor:
    """(96, 80, 3): a size that is no multiple of a JPEG block."""
    return astronaut[60:156, 180:260]


def both(face: Tensor, degradation: Degradation) -> tuple[Tensor, Tensor]:
    """The face degraded by either path."""
    return degrade(face, degradation, 3), degrade_batch(face[None], [degradation], [3])[0]


EXACT = {
    "isotropic": Degradation(blur_x=2.5),
    "anisotropic": Degradation(blur_x=1.0, blur_y=6.0, blur_angle=30.0),
    "wider than the picture": Degradation(blur_x=40.0),
    "motion": Degradation(motion=11.0, blur_angle=70.0),
    "small": Degradation(downsample=2.7),
    "smaller": Degradation(downsample=13.0),
    "one pixel": Degradation(downsample=200.0),
    "colour": Degradation(
        colour_shift=(10.0, -20.0, 5.0), brightness=0.8, contrast=1.2, saturation=0.5, hue=20.0
    ),
    "gray": Degradation(gray=True),
    "strokes": Degradation(strokes=4, stroke_width=7.0, stroke_length=60.0),
}


@pytest.mark.parametrize("name", EXACT)
def test_all_but_noise_and_compression_agree(face: Tensor, name: str) -> None:
    single, batched = both(face, EXACT[name])
    assert not torch.equal(single, face)
    assert torch.allclose(single, batched, atol=2e-4)


@pytest.mark.parametrize("quality", [10, 45, 75, 100])
def test_compression_agrees_to_about_a_level(face: Tensor, quality: int) -> None:
    single, batched = both(face, Degradation(jpeg_quality=quality))
    assert (single - batched).abs().mean() * 255 < 1.0
    lost = (single - face).abs().mean()
    assert (single - batched).abs().mean() < max(0.2 * lost, 1 / 255)


@pytest.mark.parametrize("kind", ["gaussian_noise", "sensor_noise"])
def test_noise_agrees_in_its_statistics(kind: str) -> None:
    gray = torch.full((128, 128, 3), 0.36)
    noises = [each - gray for each in both(gray, Degradation(**{kind: 12.0}))]
    assert abs(float(noises[0].std() / noises[1].std()) - 1) < 0.03
    for noise in noises:
        assert abs(float(noise.mean())) < 1e-3


def test_strong_degradations_look_alike(face: Tensor) -> None:
    random = np.random.default_rng(0)
    ranges = STAGE_TWO.scaled(96 / 512)
    drawn = [ranges.draw(random) for _ in range(8)]
    batched = degrade_batch(face.expand(8, -1, -1, -1), drawn, range(8))
    single = torch.stack([degrade(face, each, seed) for seed, each in enumerate(drawn)])
    assert abs(float(single.mean() - batched.mean())) < 0.01
    # How far each picture is from the clean one must agree, noise and all.
    distances = [(each - face).square().mean((1, 2, 3)).sqrt() for each in (single, batched)]
    assert torch.allclose(*distances, rtol=0.1)


def test_a_picture_does_not_depend_on_its_batch(face: Tensor) -> None:
    drawn = [Degradation(2.0, downsample=3.0, gaussian_noise=9.0, jpeg_quality=50), Degradation(5)]
    together = degrade_batch(face.expand(2, -1, -1, -1), drawn, [7, 8])
    alone = degrade_batch(face[None], drawn[:1], [7])
    # The last bit of a float can push a JPEG coefficient to its other neighbour, no more.
    assert (together[:1] - alone).abs().mean() < 1 / 255
    noise_only = [Degradation(2.0, downsample=3.0, gaussian_noise=9.0), Degradation(5)]
    together = degrade_batch(face.expand(2, -1, -1, -1), noise_only, [7, 8])
    alone = degrade_batch(face[None], noise_only[:1], [7])
    assert torch.allclose(together[:1], alone, atol=1e-5)


def test_undegraded_pictures_come_back(face: Tensor) -> None:
    assert torch.allclose(degrade_batch(face[None], [Degradation()], [0])[0], face, atol=1e-6)


def test_unpaired_settings_are_refused(face: Tensor) -> None:
    with pytest.raises(SettingError, match="2 pictures"):
        degrade_batch(face.expand(2, -1, -1, -1), [Degradation()], [0])


def test_hue_turns_colours_and_leaves_gray() -> None:
    red, gray = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.5])
    pixels = torch.stack([red, gray]).view(1, 2, 3)
    turned = degrade(pixels, Degradation(hue=120.0))[0]
    assert torch.allclose(turned[0], torch.tensor([0.0, 1.0, 0.0]), atol=1e-5)
    assert torch.allclose(turned[1], gray, atol=1e-6)


def test_contrast_and_saturation_fade_to_gray(face: Tensor) -> None:
    flat = degrade(face, Degradation(contrast=0.0, saturation=0.0))
    assert float(flat.std()) < 1e-5
    colourless = degrade(face, Degradation(saturation=0.0))
    assert torch.allclose(colourless, degrade(face, Degradation(gray=True)), atol=1e-5)


def test_strokes_are_white_and_leave_the_rest() -> None:
    black = torch.zeros(128, 128, 3)
    painted = degrade(black, Degradation(strokes=3, stroke_width=10.0, stroke_length=100.0))
    assert set(painted.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < float(painted.mean()) < 0.6


def test_variants_are_drawn_as_often_as_asked() -> None:
    ranges = DegradationRange(colour_probability=0.5, gray_probability=0.25, strokes=(1, 3))
    drawn = [ranges.draw(np.random.default_rng(seed)) for seed in range(400)]
    assert 0.4 < np.mean([each.brightness != 1 for each in drawn]) < 0.6
    assert 0.15 < np.mean([each.gray for each in drawn]) < 0.35
    assert {each.strokes for each in drawn} == {1, 2, 3}
    assert all(-20 <= shift <= 20 for each in drawn for shift in each.colour_shift)
