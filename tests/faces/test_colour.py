"""Colour spaces and colour match."""

import pytest
import torch

from codeformer_core.faces import match_colour, match_gray
from codeformer_core.faces.colour import is_gray, lab_to_rgb, rgb_to_lab


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(2, 24, 24, 3, generator=torch.Generator().manual_seed(1))


def test_lab_agrees_with_scikit_image(crops):
    colour = pytest.importorskip("skimage.color")
    expected = torch.from_numpy(colour.rgb2lab(crops.numpy())).float()
    assert (rgb_to_lab(crops) - expected).abs().max() < 0.02


def test_lab_and_back_is_the_same_colour(crops):
    corners = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1], [0.001, 0.002, 0.0]])
    assert torch.allclose(lab_to_rgb(rgb_to_lab(crops)), crops, atol=1e-4)
    assert torch.allclose(lab_to_rgb(rgb_to_lab(corners)), corners, atol=1e-3)


def test_lab_match_gives_the_originals_mean_and_spread(crops):
    originals = 0.25 + 0.4 * crops.flip(0) * torch.tensor([1.0, 0.8, 0.9])
    weights = torch.ones(2, 24, 24)
    matched = rgb_to_lab(match_colour(0.2 + 0.45 * crops, originals, weights, "lab"))
    target = rgb_to_lab(originals)
    assert torch.allclose(matched.mean((1, 2)), target.mean((1, 2)), atol=0.5)
    assert torch.allclose(matched.std((1, 2)), target.std((1, 2)), rtol=0.05)


def test_lab_match_does_not_undo_restored_contrast(crops):
    flat = 0.5 + 0.02 * (crops - 0.5)
    matched = match_colour(crops, flat, torch.ones(2, 24, 24), "lab")
    assert matched.std() > 0.5 * crops.std()


def test_only_weighted_pixels_count(crops):
    weights = torch.zeros(2, 24, 24)
    weights[:, :12] = 1.0
    originals = crops.clone()
    originals[:, 12:] = 1.0
    assert torch.allclose(match_colour(crops, originals, weights, "mean"), crops, atol=1e-5)


def test_no_weight_at_all_changes_nothing_to_nan(crops):
    matched = match_colour(crops, crops, torch.zeros(2, 24, 24), "lab")
    assert torch.isfinite(matched).all()


def test_none_returns_the_crops(crops):
    assert match_colour(crops, crops * 0.5, torch.ones(2, 24, 24), "none") is crops


def test_toned_faces_keep_their_tone(crops):
    tone = torch.tensor([0.06, 0.0, -0.06])
    originals = (0.2 + 0.6 * crops[..., :1]).expand(-1, -1, -1, 3) + tone
    matched = match_gray(0.2 + 0.6 * crops, originals)
    assert torch.allclose(matched[..., 0] - matched[..., 1], tone[0], atol=1e-4)
    assert torch.allclose(matched[..., 2] - matched[..., 1], tone[2], atol=1e-4)


def test_no_face_has_no_colour_to_match():
    assert match_gray(torch.zeros(0, 8, 8, 3), torch.zeros(0, 8, 8, 3)).shape == (0, 8, 8, 3)


def test_gray_faces_stay_gray_and_coloured_ones_coloured(crops):
    originals = crops.clone()
    originals[0] = originals[0, ..., :1]
    assert is_gray(originals).tolist() == [True, False]
    matched = match_gray(crops, originals)
    assert torch.equal(matched[1], crops[1])
    assert torch.equal(matched[0, ..., 0], matched[0, ..., 2])
    assert matched[0, 3, 4, 0] == pytest.approx(
        float(0.2989 * crops[0, 3, 4, 0] + 0.587 * crops[0, 3, 4, 1] + 0.114 * crops[0, 3, 4, 2])
    )
