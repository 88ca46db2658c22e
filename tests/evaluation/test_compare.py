"""What a comparison says, and what it says when a measure is not there."""

import math

import pytest
import torch
from torch import nn

from codeformer_core.errors import MissingModelError, PictureError
from codeformer_core.evaluation import compare as module
from codeformer_core.evaluation.compare import Comparison, compare
from codeformer_core.faces import Faces
from codeformer_core.metrics import psnr, ssim
from codeformer_core.runtime import Runtime


class Mean(nn.Module):
    """Distance of the means."""

    def bytes_per_pair(self, height: int, width: int) -> float:
        return 1e8

    def distance(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return (first - second).mean((1, 2, 3)).abs()


def compared(first: torch.Tensor, second: torch.Tensor, faces: Faces | None = None) -> Comparison:
    return compare(first, second, faces, identity=Mean, perceptual=Mean)


def pictures(count: int = 2, height: int = 40, width: int = 40) -> torch.Tensor:
    return torch.rand(count, height, width, 3, generator=torch.Generator().manual_seed(4))


def test_numbers_are_those_of_the_metrics() -> None:
    first, second = pictures(), pictures().flip(1)
    found = compared(first, second)
    assert found.psnr.mean == pytest.approx(float(psnr(first, second).mean()))
    assert found.ssim.mean == pytest.approx(float(ssim(first, second).mean()))
    assert len(found.text.splitlines()) == 4
    assert f"{found.psnr.mean:.4g} (" in found.text


def test_equal_pictures_are_equal() -> None:
    found = compared(pictures(), pictures())
    assert found.psnr.mean == math.inf
    assert found.ssim.mean == pytest.approx(1)
    assert found.identity.mean == 0


def test_one_picture_is_compared_with_all_and_resized() -> None:
    found = compared(pictures(3), pictures(1, 20, 20))
    assert len(found.psnr.values) == 3


def test_a_missing_network_is_said_and_the_rest_measured() -> None:
    def missing() -> Mean:
        raise MissingModelError("pip install it")

    found = compare(pictures(), pictures(), identity=missing, perceptual=Mean)
    assert math.isnan(found.identity.mean)
    assert "not available, pip install it" in found.text
    assert found.perceptual.mean == 0


@pytest.mark.parametrize(("height", "width"), [(1, 1), (8, 30), (20, 40)])
def test_small_and_wide_pictures_get_what_can_be_measured(height: int, width: int) -> None:
    found = compared(pictures(1, height, width), pictures(1, height, width))
    assert found.psnr.mean == math.inf
    assert (height >= 11) == bool(found.ssim.values)
    assert not found.perceptual.values
    assert (height == width) == bool(found.identity.values)


def test_nothing_to_compare_is_no_error() -> None:
    assert "nothing to compare" in compared(pictures(0), pictures(0)).text
    assert "nothing" in compared(pictures(1, 40, 50), pictures(1), Faces(((),), 40, 50)).text


def test_numbers_of_pictures_must_match() -> None:
    with pytest.raises(PictureError, match="3 pictures cannot be compared with 2"):
        compared(pictures(3), pictures(2))


def test_pixels_that_are_not_numbers_are_named() -> None:
    broken = pictures()
    broken[0, 0, 0] = float("nan")
    with pytest.raises(PictureError, match="the second picture"):
        compared(pictures(), broken)


def test_strips_of_a_tall_picture_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pictures(2, 150, 40), pictures(2, 150, 40).roll(1, 2)
    whole = compared(first, second)
    monkeypatch.setattr(module, "STRIP", 32)
    strips = compared(first, second)
    assert strips.psnr.values == pytest.approx(whole.psnr.values, rel=1e-9)
    assert strips.ssim.values == pytest.approx(whole.ssim.values, rel=1e-9)
    assert whole.ssim.values == pytest.approx(ssim(first, second).tolist(), rel=1e-9)


def test_large_pictures_are_shown_smaller_to_the_perceptual_network() -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(Mean):
        def distance(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(first.shape))
            return super().distance(first, second)

    large = pictures(1, 1500, 60)
    compare(large, large, identity=Mean, perceptual=Watching)
    assert seen == [(1, 1024, 41, 3)]


def test_a_comparison_can_be_stopped() -> None:
    class Pressed(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Pressed

    with pytest.raises(Pressed):
        compare(pictures(), pictures(), identity=Mean, perceptual=Mean, runtime=Runtime(stop))
