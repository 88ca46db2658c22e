"""The size-bounded copy that detectors search."""

import pytest
import torch

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import affine
from codeformer_core.faces.detection.base import (
    WorkingCopy,
    check_request,
    working_copy,
    working_size,
)


def _copy(frame: torch.Tensor, search_size: int) -> WorkingCopy:
    height, width = frame.shape[:2]
    return working_copy(frame, working_size(height, width, search_size))


def _blob(height: int, width: int, x: float, y: float, radius: float) -> torch.Tensor:
    rows = torch.arange(height, dtype=torch.float32).view(-1, 1)
    columns = torch.arange(width, dtype=torch.float32).view(1, -1)
    blob = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
    return blob.unsqueeze(-1).expand(-1, -1, 3)


@pytest.mark.parametrize(
    ("height", "width", "search_size"),
    [(150, 200, 150), (150, 200, 320), (333, 517, 100), (1201, 907, 64), (64, 900, 64)],
)
def test_positions_map_back_to_the_picture(height, width, search_size):
    x, y = 0.37 * width, 0.61 * height
    copy = _copy(_blob(height, width, x, y, 0.06 * height), search_size)
    weights = copy.pixels[0] / copy.pixels[0].sum()
    rows = torch.arange(weights.shape[0], dtype=torch.float32)
    columns = torch.arange(weights.shape[1], dtype=torch.float32)
    found = (float((weights.sum(0) * columns).sum()), float((weights.sum(1) * rows).sum()))
    back = affine.apply(copy.to_picture, found)
    # A twentieth of a pixel of the copy or of the picture, whichever is larger.
    tolerance = 0.05 * max(1.0, affine.mean_scale(copy.to_picture))
    assert back == pytest.approx((x, y), abs=tolerance)


@pytest.mark.parametrize(("height", "width"), [(4000, 3000), (200, 150), (3000, 4001)])
def test_the_shorter_side_has_the_size_asked_for(height, width):
    copy = _copy(torch.zeros(1, 1, 3).expand(height, width, 3), 96)
    assert min(copy.pixels.shape[1:]) == 96
    assert max(copy.pixels.shape[1:]) == pytest.approx(96 * 4 / 3, abs=1)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5000), (8000, 2)])
def test_extreme_shapes_stay_bounded(height, width):
    copy = _copy(torch.rand(height, width, 3), 64)
    assert copy.pixels.numel() <= 3 * 64 * 64 * 4
    assert min(copy.pixels.shape) >= 1


def test_shrinking_does_not_alias():
    rows, columns = torch.meshgrid(torch.arange(900), torch.arange(900), indexing="ij")
    stripes = ((rows + columns) % 2).float().unsqueeze(-1).expand(-1, -1, 3)
    for side in (100, 250, 400):
        inner = _copy(stripes, side).pixels[:, 3:-3, 3:-3]
        assert (inner - 0.5).abs().max() < 0.1


def test_values_out_of_range_or_not_finite_are_tamed():
    frame = torch.full((50, 50, 3), 9.0)
    frame[10, 10], frame[20, 20], frame[30, 30] = torch.nan, torch.inf, -torch.inf
    pixels = _copy(frame, 30).pixels
    assert torch.isfinite(pixels).all()
    assert 0.0 <= pixels.min() <= pixels.max() <= 1.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_searched_in_float32(dtype):
    assert _copy(torch.rand(300, 300, 3).to(dtype), 64).pixels.dtype == torch.float32


@pytest.mark.parametrize("shape", [(20, 30, 3), (1, 20, 30, 4), (1, 20, 30, 1), (1, 0, 30, 3)])
def test_what_is_no_batch_of_rgb_pictures_is_refused(shape):
    with pytest.raises(PictureError, match="RGB"):
        check_request(torch.zeros(shape), 0.5, 0.0)


def test_bad_settings_are_refused():
    frames = torch.zeros(1, 4, 4, 3)
    with pytest.raises(PictureError, match="divide by 255"):
        check_request(frames.byte(), 0.5, 0.0)
    with pytest.raises(SettingError, match="between 0 and 1"):
        check_request(frames, 1.5, 0.0)
    with pytest.raises(SettingError, match="not be negative"):
        check_request(frames, 0.5, float("nan"))
    with pytest.raises(SettingError, match="at least 1"):
        _copy(frames[0], 0)
