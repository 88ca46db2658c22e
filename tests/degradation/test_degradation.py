"""The degradation model: each parameter does what it says, reproducibly."""

import numpy as np
import pytest
import torch
from torch import Tensor

from codeformer_core.degradation import (
    STAGE_TWO,
    Degradation,
    DegradationRange,
    degrade,
)
from codeformer_core.degradation.kernels import gaussian_kernel, motion_kernel
from codeformer_core.errors import SettingError


def test_no_degradation_changes_nothing(astronaut: Tensor) -> None:
    assert torch.equal(degrade(astronaut, Degradation()), astronaut)


def test_same_seed_same_result_other_seed_other_noise(astronaut: Tensor) -> None:
    drawn = STAGE_TWO.draw(np.random.default_rng(0))
    assert torch.equal(degrade(astronaut, drawn, seed=1), degrade(astronaut, drawn, seed=1))
    assert not torch.equal(degrade(astronaut, drawn, seed=1), degrade(astronaut, drawn, seed=2))


def test_frames_of_a_batch_get_noise_of_their_own() -> None:
    gray = torch.full((2, 32, 32, 3), 0.5)
    noisy = degrade(gray, Degradation(gaussian_noise=10))
    assert not torch.equal(noisy[0], noisy[1])


def test_gaussian_noise_has_the_asked_deviation() -> None:
    noisy = degrade(torch.full((256, 256, 3), 0.5), Degradation(gaussian_noise=10))
    assert abs(float(noisy.std()) * 255 - 10) < 0.2


def test_sensor_noise_grows_with_the_root_of_the_signal() -> None:
    bright, dark = (
        float(degrade(torch.full((256, 256, 3), level), Degradation(sensor_noise=10)).std()) * 255
        for level in (0.64, 0.16)
    )
    assert abs(bright - 8) < 0.2
    assert abs(dark - 4) < 0.2


def test_kernels_have_sum_one_and_the_asked_width() -> None:
    kernel = gaussian_kernel(Degradation(blur_x=2.0, blur_y=4.0))
    radius = kernel.shape[0] // 2
    offsets = np.arange(-radius, radius + 1)
    assert abs(kernel.sum() - 1) < 1e-5
    assert abs(np.sqrt((kernel.sum(0) * offsets**2).sum()) - 2) < 0.1
    assert abs(np.sqrt((kernel.sum(1) * offsets**2).sum()) - 4) < 0.2
    line = motion_kernel(9.0, 0.0)
    assert abs(line.sum() - 1) < 1e-5
    assert (line.sum(1) > 1e-3).sum() == 1  # horizontal: one row


def test_downsampling_removes_what_blur_and_size_cannot_hold(astronaut: Tensor) -> None:
    shrunk = degrade(astronaut, Degradation(downsample=8))
    assert shrunk.shape == astronaut.shape
    assert abs(float(shrunk.mean() - astronaut.mean())) < 0.01
    detail = (astronaut[1:] - astronaut[:-1]).abs().mean()
    assert (shrunk[1:] - shrunk[:-1]).abs().mean() < 0.5 * detail


def test_lower_jpeg_quality_is_further_from_the_picture(astronaut: Tensor) -> None:
    errors = [
        float((degrade(astronaut, Degradation(jpeg_quality=q)) - astronaut).square().mean())
        for q in (95, 60, 20)
    ]
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_ranges_are_kept_and_scale_with_the_face() -> None:
    half = STAGE_TWO.scaled(0.5)
    assert half.blur == (0.5, 7.5)
    assert half.downsample == (2.0, 15.0)
    assert STAGE_TWO.scaled(0.125).downsample[0] == 1.0
    drawn = [half.draw(np.random.default_rng(seed)) for seed in range(200)]
    assert min(d.blur_x for d in drawn) >= 0.5
    assert max(d.downsample for d in drawn) <= 15
    assert {d.blur_y is None for d in drawn} == {True, False}


@pytest.mark.parametrize("size", [(1, 1, 3), (1, 7, 3), (3, 2, 3)])
def test_tiny_pictures_survive_the_strongest_degradation(size: tuple[int, ...]) -> None:
    strongest = Degradation(15, 15, 45, 9, 30, 20, 10, 30)
    assert degrade(torch.rand(size), strongest).shape == size


def test_impossible_parameters_are_refused() -> None:
    changes = (
        {"downsample": 0.5},
        {"gaussian_noise": -1},
        {"jpeg_quality": 0},
        {"blur_x": float("nan")},
        {"strokes": -1},
    )
    for each in changes:
        with pytest.raises(SettingError):
            Degradation(**each)
    for name, value in (("blur", (2.0, 1.0)), ("gray_probability", 2.0)):
        with pytest.raises(SettingError, match=name):
            DegradationRange(**{name: value})


def test_default_ranges_are_the_published_ones() -> None:
    assert DegradationRange() == STAGE_TWO
    assert (STAGE_TWO.blur, STAGE_TWO.downsample) == ((1.0, 15.0), (4.0, 30.0))
    assert (STAGE_TWO.gaussian_noise, STAGE_TWO.jpeg_quality) == ((0.0, 20.0), (30.0, 80.0))
