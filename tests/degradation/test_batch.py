"""The batched path does what the path picture by picture does, without looking at any picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.degradation import (
    STAGE_THREE_MILD,
    STAGE_TWO,
    BatchRandom,
    Degradation,
    DegradationMix,
    DegradationRange,
    Degradations,
    Limits,
    degrade,
    degrade_batch,
)

CPU = torch.device("cpu")
SIDE = 90
EVERYTHING = DegradationRange(
    motion=(0.0, 20.0), sensor_noise=(0.0, 10.0), colour_probability=0.5, gray_probability=0.25,
    strokes=(0, 3),
)  # fmt: skip


@pytest.fixture(scope="module")
def face(astronaut: Tensor) -> Tensor:
    """(90, 90, 3): a side that is no multiple of a JPEG block."""
    return astronaut[60 : 60 + SIDE, 175 : 175 + SIDE]


def in_batch(images: Tensor, degradations: list[Degradation], seed: int = 3) -> Tensor:
    """(B, S, S, 3) through the batched path."""
    limits = Limits(
        blur=max(max(each.blur_x, each.blur_y or 0) for each in degradations),
        motion=max(each.motion for each in degradations),
        downsample=min(each.downsample for each in degradations),
        gaussian_noise=any(each.gaussian_noise for each in degradations),
        sensor_noise=any(each.sensor_noise for each in degradations),
        compression=any(each.jpeg_quality for each in degradations),
        colour=any(each.changes_colour for each in degradations),
        strokes=max(each.strokes for each in degradations),
    )
    random = BatchRandom((seed,), len(images), range(len(images)), CPU)
    planes = images.movedim(-1, 1)
    return degrade_batch(planes, Degradations.of(degradations), limits, random).movedim(1, -1)


def both(face: Tensor, degradation: Degradation) -> tuple[Tensor, Tensor]:
    """The face degraded by either path."""
    return degrade(face, degradation, 3), in_batch(face[None], [degradation])[0]


CLOSE = {
    "isotropic": (Degradation(blur_x=2.5), 1e-3),
    "anisotropic": (Degradation(blur_x=1.0, blur_y=6.0, blur_angle=30.0), 1e-2),
    "motion": (Degradation(motion=11.0, blur_angle=70.0), 2e-2),
    "small": (Degradation(downsample=2.7), 1e-4),
    "smaller": (Degradation(downsample=13.0), 1e-4),
    "one pixel": (Degradation(downsample=200.0), 1e-4),
    "gray": (Degradation(gray=True), 1e-5),
    "colour": (
        Degradation(
            colour_shift=(10.0, -20.0, 5.0), brightness=0.8, contrast=1.2, saturation=0.5, hue=20.0
        ),
        1e-5,
    ),
}


@pytest.mark.parametrize("name", CLOSE)
def test_all_but_noise_and_compression_agree(face: Tensor, name: str) -> None:
    degradation, tolerance = CLOSE[name]
    single, batched = both(face, degradation)
    changed = float((single - face).abs().mean())
    assert (single - batched).abs().mean() < min(tolerance, 0.1 * changed)


@pytest.mark.parametrize("quality", [10, 45, 75, 100])
def test_compression_agrees_to_about_a_level(face: Tensor, quality: int) -> None:
    single, batched = both(face[:80, :80], Degradation(jpeg_quality=quality))
    lost = (single - face[:80, :80]).abs().mean()
    assert (single - batched).abs().mean() < max(0.2 * lost, 1 / 255)


@pytest.mark.parametrize("kind", ["gaussian_noise", "sensor_noise"])
@pytest.mark.parametrize("level", [0.15, 0.36])
def test_noise_agrees_in_its_statistics(kind: str, level: float) -> None:
    gray = torch.full((128, 128, 3), level)
    noises = [each - gray for each in both(gray, Degradation(**{kind: 12.0}))]
    assert abs(float(noises[0].std() / noises[1].std()) - 1) < 0.03
    for noise in noises:
        assert abs(float(noise.mean())) < 2e-3
    skews = [float((noise / noise.std()).pow(3).mean()) for noise in noises]
    assert skews[1] == pytest.approx(skews[0], abs=0.1)


def test_strong_degradations_look_alike(face: Tensor) -> None:
    random = np.random.default_rng(0)
    ranges = STAGE_TWO.scaled(SIDE / 512)
    drawn = [ranges.draw(random) for _ in range(8)]
    batched = in_batch(face.expand(8, -1, -1, -1), drawn)
    single = torch.stack([degrade(face, each, seed) for seed, each in enumerate(drawn)])
    assert abs(float(single.mean() - batched.mean())) < 0.01
    # How far each picture is from the clean one must agree, noise and all.
    distances = [(each - face).square().mean((1, 2, 3)).sqrt() for each in (single, batched)]
    assert torch.allclose(*distances, rtol=0.1)


def test_drawn_parameters_are_those_of_their_ranges() -> None:
    mild = replace(STAGE_THREE_MILD, strokes=(2, 4), colour_probability=0.5, gray_probability=1.0)
    mix = DegradationMix((STAGE_TWO, mild, DegradationRange.none()), (0.5, 0.3, 0.2))
    drawn = mix.draw(BatchRandom((0,), 4000, range(4000), CPU))
    strong, untouched = drawn.strokes == 0, drawn.jpeg_quality == 0
    assert abs(float(untouched.float().mean()) - 0.2) < 0.03
    strong &= ~untouched
    assert abs(float(strong.float().mean()) - 0.5) < 0.03
    assert (drawn.blur_x[untouched] == 0).all()
    assert (drawn.downsample[untouched] == 1).all()
    gently = ~strong & ~untouched
    for name, chosen, low, high in (
        ("blur_x", strong, 1, 15),
        ("downsample", strong, 4, 30),
        ("jpeg_quality", strong, 30, 80),
        ("blur_y", gently, 0.1, 10),
        ("strokes", gently, 2, 4),
        ("blur_angle", gently, 0, 180),
    ):
        values = getattr(drawn, name)[chosen]
        assert low <= float(values.min()) < low + 0.1 * (high - low), name
        assert high >= float(values.max()) > high - 0.1 * (high - low), name
    assert (drawn.blur_x[strong] == drawn.blur_y[strong]).float().mean() == pytest.approx(
        0.5, abs=0.05
    )
    assert (drawn.colours.gray == gently.float()).all()
    changed = (drawn.colours.shift != 0).any(1)
    assert not changed[~gently].any()
    assert changed[gently].float().mean() == pytest.approx(0.5, abs=0.06)


def test_parts_of_a_batch_get_what_the_whole_gets(face: Tensor) -> None:
    mix = DegradationMix((EVERYTHING.scaled(0.2),), (1.0,))
    planes = face.movedim(-1, 0).expand(6, -1, -1, -1)

    def part(places: range) -> Tensor:
        random = BatchRandom((1, 2), 6, places, CPU)
        return degrade_batch(planes[: len(places)], mix.draw(random), mix.limits, random)

    parts = torch.cat([part(range(0, 2)), part(range(2, 6))])
    # The last bit of a float can push a JPEG coefficient to its other neighbour, no more.
    assert (parts - part(range(6))).abs().mean() < 1e-3


class Launches(TorchDispatchMode):
    """Counts what is sent to the device, and what is read back from it."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.reads = 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        self.reads += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_launches_do_not_depend_on_the_number_of_pictures() -> None:
    mix = DegradationMix((EVERYTHING, DegradationRange.none()), (0.9, 0.1))
    counts = []
    for size in (2, 2, 33):  # the first time constants are made
        planes = torch.rand(size, 3, 32, 32)
        random = BatchRandom((0,), size, range(size), CPU)
        with Launches() as launches:
            degrade_batch(planes, mix.draw(random), mix.limits, random)
        assert launches.reads == 0
        counts.append(launches.count)
    assert counts[1] == counts[2]
    assert counts[2] < 600


def test_undegraded_pictures_come_back(face: Tensor) -> None:
    planes = face.movedim(-1, 0)[None]
    mix = DegradationMix((EVERYTHING, DegradationRange.none()), (0.0, 1.0))
    random = BatchRandom((0,), 1, range(1), CPU)
    assert torch.allclose(
        degrade_batch(planes, mix.draw(random), mix.limits, random), planes, atol=1e-5
    )


def test_strokes_are_white_and_leave_the_rest() -> None:
    black = torch.zeros(8, 128, 128, 3)
    degradation = Degradation(strokes=3, stroke_width=10.0, stroke_length=100.0)
    painted = in_batch(black, [degradation] * 8)
    assert set(painted.unique().tolist()) == {0.0, 1.0}
    alone = torch.stack([degrade(black[0], degradation, seed) for seed in range(20)])
    assert float(painted.mean()) == pytest.approx(float(alone.mean()), rel=0.3)
    assert len(painted.flatten(1).unique(dim=0)) == 8


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


def test_variants_are_drawn_as_often_as_asked() -> None:
    ranges = DegradationRange(colour_probability=0.5, gray_probability=0.25, strokes=(1, 3))
    drawn = [ranges.draw(np.random.default_rng(seed)) for seed in range(400)]
    assert 0.4 < np.mean([each.brightness != 1 for each in drawn]) < 0.6
    assert 0.15 < np.mean([each.gray for each in drawn]) < 0.35
    assert {each.strokes for each in drawn} == {1, 2, 3}
    assert all(-20 <= shift <= 20 for each in drawn for shift in each.colour_shift)
