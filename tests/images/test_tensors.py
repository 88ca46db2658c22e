"""Tensors of pictures: kinds of input, ranges, resizing, gray."""

import numpy as np
import pytest
import torch

from codeformer_core.errors import PictureError
from codeformer_core.images import (
    as_images,
    from_network,
    resize,
    to_network,
    to_uint8,
)


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (np.zeros((4, 5), np.uint8), (1, 4, 5, 3)),
        (np.zeros((4, 5, 1), np.float64), (1, 4, 5, 3)),
        (np.zeros((4, 5, 4), np.uint16), (1, 4, 5, 4)),
        (torch.zeros(2, 4, 5, 3), (2, 4, 5, 3)),
        (torch.zeros(0, 4, 5, 3), (0, 4, 5, 3)),
        (np.zeros((4, 5, 3), bool), (1, 4, 5, 3)),
    ],
)
def test_common_kinds_become_float_batches(image, shape):
    images = as_images(image)
    assert images.shape == shape
    assert images.dtype == torch.float32


@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_whole_numbers_are_divided_by_their_largest(kind, top):
    values = np.array([[[0, top // 3, top]]], kind)
    assert np.array_equal(
        as_images(values)[0, 0, 0].numpy(), (values / top).astype(np.float32)[0, 0]
    )


def test_a_float_just_above_one_is_not_taken_for_sixteen_bits():
    image = torch.full((2, 2, 3), 0.5)
    image[0, 0, 0] = 1.01
    assert float(as_images(image)[0, 1, 1, 1]) == 0.5


def test_negative_strides_are_accepted():
    bgr = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert as_images(bgr[..., ::-1])[0, 0, 0].tolist() == pytest.approx([2 / 255, 1 / 255, 0])


@pytest.mark.parametrize("shape", [(3,), (3, 8, 8), (1, 3, 8, 8), (0, 5, 3), (1, 1, 2, 2, 3)])
def test_other_shapes_are_refused_with_the_shape(shape):
    with pytest.raises(PictureError, match=str(shape[0])):
        as_images(torch.zeros(shape))


def test_signed_numbers_are_refused():
    with pytest.raises(PictureError, match="int64"):
        as_images(np.zeros((2, 2, 3), np.int64))


def test_network_range_round_trip():
    images = torch.rand(2, 4, 5, 3)
    crops = to_network(images)
    assert crops.shape == (2, 3, 4, 5)
    assert float(to_network(torch.ones(1, 1, 1, 3)).min()) == 1
    assert float(to_network(torch.zeros(1, 1, 1, 3)).max()) == -1
    assert torch.allclose(from_network(crops), images, atol=1e-6)


def test_from_network_clamps_and_keeps_nan():
    crops = torch.tensor([-3.0, 3.0, torch.nan]).reshape(1, 3, 1, 1)
    values = from_network(crops)[0, 0, 0]
    assert values[:2].tolist() == [0, 1]
    assert bool(values[2].isnan())


def test_to_uint8_rounds_and_clamps():
    assert to_uint8(torch.tensor([-1.0, 0.5, 0.9999, 7.0, torch.nan])).tolist() == [
        0,
        128,
        255,
        255,
        0,
    ]


def test_resize_to_the_same_size_is_the_same_tensor():
    images = torch.rand(1, 4, 5, 3)
    assert resize(images, 4, 5) is images


def test_resize_places_pixel_centres_half_a_pixel_in():
    ramp = torch.arange(32.0).reshape(1, 1, 32, 1).expand(1, 8, 32, 3) / 32
    doubled = resize(ramp, 16, 64)[0, 8, 8:-8, 0]
    expected = ((torch.arange(64.0) + 0.5) / 2 - 0.5)[8:-8] / 32
    assert torch.allclose(doubled, expected, atol=1e-5)


def test_resize_never_overshoots():
    step = torch.zeros(1, 16, 16, 3)
    step[:, :, 8:] = 1
    assert float(resize(step, 50, 50).min()) >= 0
    assert float(resize(step, 50, 50).max()) <= 1


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = torch.zeros(1, 64, 64, 3)
    stripes[:, :, ::2] = 1
    assert float((resize(stripes, 8, 8) - 0.5).abs().max()) < 0.1
