"""Aligned crops."""

import pytest
import torch

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import BORDER_COLOUR, affine, crop_faces


@pytest.mark.parametrize("degrees", [0, 25, -90])
@pytest.mark.parametrize("side", [30, 64, 150])
def test_crop_shows_the_pattern_at_the_right_place(sampled, make_faces, side, degrees):
    faces = make_faces((110.3, 95.8, side, degrees))
    (face,) = faces
    crops = crop_faces(sampled(200, 240)[None], faces, 64)
    expected = sampled(64, 64, face.placement.rescaled(64).inverse)
    assert crops.shape == (1, 64, 64, 3)
    inside = slice(4, 60)  # of a 150-pixel face the turned corners lie outside the picture
    assert (crops[0, inside, inside] - expected[inside, inside]).abs().max() < 4e-3


def test_crops_come_frame_by_frame(make_faces):
    frames = torch.stack([torch.full((200, 240, 3), value) for value in (0.1, 0.5, 0.9)])
    faces = make_faces((90, 90, 40, 0, 2), (120, 90, 40, 0, 0), (60, 60, 30, 0, 2), frames=3)
    crops = crop_faces(frames, faces, 8)
    assert crops[:, 4, 4, 0].tolist() == pytest.approx([0.1, 0.9, 0.9])


def test_no_face_gives_an_empty_batch(make_faces):
    crops = crop_faces(torch.rand(2, 200, 240, 3), make_faces(frames=2), 32)
    assert crops.shape == (0, 32, 32, 3)


def test_a_face_half_outside_continues_in_the_border_colour(make_faces):
    crop = crop_faces(torch.ones(1, 200, 240, 3), make_faces((0, 100, 100)), 50)[0]
    assert torch.allclose(crop[:, :24], torch.tensor(BORDER_COLOUR).expand(50, 24, 3))
    assert torch.allclose(crop[:, 26:], torch.ones(50, 24, 3))


@pytest.mark.parametrize("scale", [1.5, 2.0, 3.7])
def test_a_resized_copy_gives_the_same_crop(sampled, make_faces, scale):
    faces = make_faces((110, 95, 60, 15))
    height, width = round(200 * scale), round(240 * scale)
    to_original = affine.scaling(240 / width, 200 / height)
    crop = crop_faces(sampled(200, 240)[None], faces, 48)
    larger = crop_faces(sampled(height, width, to_original)[None], faces, 48)
    assert (crop - larger).abs().max() < 3e-3


def test_a_face_larger_than_its_crop_does_not_alias(make_faces):
    rows, columns = torch.meshgrid(torch.arange(600), torch.arange(600), indexing="ij")
    stripes = ((columns + rows) % 2).float().unsqueeze(-1).expand(-1, -1, 3)[None]
    crop = crop_faces(stripes, make_faces((300, 300, 400, 12), height=600, width=600), 64)
    assert (crop - 0.5).abs().max() < 0.06


def test_values_that_are_not_finite_do_not_spread(make_faces):
    image = torch.full((1, 200, 240, 3), 0.5)
    image[0, 100, 120], image[0, 90, 120], image[0, 80, 120] = torch.nan, torch.inf, -torch.inf
    crop = crop_faces(image, make_faces((120, 100, 60)), 60)
    assert torch.isfinite(crop).all()
    assert crop.min() >= 0.0
    assert crop.max() <= 1.0
    assert (crop == 0.5).float().mean() > 0.9


def test_half_precision_pictures_are_cropped_in_float32(sampled, make_faces):
    image = sampled(200, 240)[None]
    half = crop_faces(image.half(), make_faces((120, 100, 60)), 32)
    assert half.dtype == torch.float32
    assert (half - crop_faces(image, make_faces((120, 100, 60)), 32)).abs().max() < 1e-3


def test_one_pixel_pictures_can_be_cropped(make_faces):
    crop = crop_faces(torch.ones(1, 1, 1, 3), make_faces((0, 0, 4), height=1, width=1), 17)
    assert crop.shape == (1, 17, 17, 3)
    assert crop[0, 8, 8].tolist() == pytest.approx([1.0] * 3)


def test_what_does_not_belong_together_is_refused(make_faces):
    faces = make_faces((120, 100, 60))
    with pytest.raises(PictureError, match="1 frames, but there are 2"):
        crop_faces(torch.rand(2, 200, 240, 3), faces, 32)
    with pytest.raises(PictureError, match="RGB"):
        crop_faces(torch.rand(1, 200, 240, 4), faces, 32)
    with pytest.raises(PictureError, match="divide by 255"):
        crop_faces(torch.zeros(1, 200, 240, 3, dtype=torch.uint8), faces, 32)
    with pytest.raises(SettingError, match="at least 1"):
        crop_faces(torch.rand(1, 200, 240, 3), faces, 0)


@pytest.mark.parametrize(("height", "width"), [(200, 480), (240, 200), (200, 224), (100, 100)])
def test_pictures_of_another_shape_are_refused_with_both_sizes(make_faces, height, width):
    with pytest.raises(PictureError, match=rf"240 x 200 .* {width} x {height}"):
        crop_faces(torch.rand(1, height, width, 3), make_faces((120, 100, 60)), 32)


@pytest.mark.parametrize(("height", "width"), [(400, 480), (100, 120), (200, 244), (67, 80)])
def test_copies_whose_sides_are_rounded_are_taken(make_faces, height, width):
    crops = crop_faces(torch.rand(1, height, width, 3), make_faces((120, 100, 60)), 32)
    assert crops.shape == (1, 32, 32, 3)
