"""Soft masks in crop space."""

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.faces import TEMPLATE, geometry_mask, square_mask
from codeformer_core.faces.masks import gaussian_blur


def _rim(mask: torch.Tensor) -> torch.Tensor:
    return torch.cat((mask[0], mask[-1], mask[:, 0], mask[:, -1]))


@pytest.mark.parametrize("size", [32, 128, 511, 512])
@pytest.mark.parametrize("feather", [0.0, 0.1, 0.25])
def test_the_face_mask_is_full_on_the_landmarks_and_ends_inside_the_crop(size, feather):
    mask = geometry_mask(size, feather)
    assert mask.shape == (size, size)
    for x, y in TEMPLATE.points:
        column, row = (round((value + 0.5) * size / 512 - 0.5) for value in (x, y))
        assert mask[row, column] == 1.0
    assert _rim(mask).max() < 0.1
    assert 0.0 <= mask.min() <= mask.max() <= 1.0


def test_no_feather_makes_a_hard_mask():
    for mask in (geometry_mask(64, 0.0), square_mask(64, 0.0)):
        assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert square_mask(64, 0.0).min() == 1.0


def test_more_feather_makes_a_wider_edge():
    def edge(feather: float) -> int:
        mask = geometry_mask(256, feather)[140]
        return int(((mask > 0.0) & (mask < 1.0)).sum())

    assert edge(0.05) < edge(0.1) < edge(0.2)
    assert edge(0.1) == pytest.approx(2 * 0.1 * 256, rel=0.2)


def test_masks_of_two_resolutions_agree():
    shrunk = torch.nn.functional.avg_pool2d(geometry_mask(512)[None], 4)[0]
    assert (shrunk - geometry_mask(128)).abs().max() < 0.03


def test_square_mask_rises_from_the_rim():
    mask = square_mask(100, 0.1)
    assert _rim(mask).max() < 0.05
    assert mask[12:-12, 12:-12].min() == 1.0
    assert torch.equal(mask, mask.flip(0))
    assert torch.equal(mask, mask.T)


def test_blur_agrees_with_opencv():
    cv2 = pytest.importorskip("cv2")
    planes = torch.rand(2, 60, 70, generator=torch.Generator().manual_seed(0))
    blurred = gaussian_blur(planes, 3.0)
    for plane, result in zip(planes, blurred, strict=True):
        expected = cv2.GaussianBlur(plane.numpy(), (25, 25), 3.0, borderType=cv2.BORDER_REPLICATE)
        assert torch.allclose(result, torch.from_numpy(expected), atol=1e-5)


@pytest.mark.parametrize("feather", [-0.1, 0.51])
def test_feather_out_of_range_is_refused(feather: float):
    with pytest.raises(SettingError, match="feather"):
        geometry_mask(64, feather)
