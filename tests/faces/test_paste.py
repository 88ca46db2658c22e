"""Paste-back, against analytic truth and bit for bit."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import PasteOptions, affine, crop_faces, paste_faces

SIZES = [(200, 240), (300, 360), (400, 480), (474, 569), (517, 601), (800, 960)]


def _exact_crops(sampled, faces, size: int) -> torch.Tensor:
    return torch.stack([sampled(size, size, f.placement.rescaled(size).inverse) for f in faces])


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_pasted_pattern_lands_where_it_belongs(sampled, make_faces, height, width, resampling):
    faces = make_faces((115.4, 98.7, 110, 17))
    crops = _exact_crops(sampled, faces, 128)
    options = PasteOptions(resampling=resampling)
    pasted, mask = paste_faces(torch.zeros(1, height, width, 3), crops, faces, options)
    truth = sampled(height, width, affine.scaling(240 / width, 200 / height))
    full = mask[0] == 1.0
    assert full.sum() > 0.15 * (110 * height / 200) ** 2
    # Half a pixel off would show as more than 0.01 at every one of these sizes but the largest.
    assert (pasted[0] - truth)[full].abs().max() < 1.5e-3


@pytest.mark.parametrize("side", [24, 60, 110])
def test_crop_and_paste_return_the_picture(sampled, make_faces, side):
    image = sampled(200, 240)[None]
    faces = make_faces((115.4, 98.7, side, -31))
    pasted, mask = paste_faces(image, crop_faces(image, faces, 96), faces)
    assert mask.max() == 1.0
    assert (pasted - image).abs().max() < 4e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_outside_the_mask_every_bit_stays(make_faces, dtype):
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(1, 200, 240, 3, generator=generator).mul(5).to(dtype)
    for row, column in ((0, 0), (58, 78)):  # far from the faces; inside a crop but not its mask
        image[0, row, column, 0] = torch.nan
        image[0, row, column + 1, 1] = torch.inf
        image[0, row, column + 2] = -0.0
    faces = make_faces((120, 100, 90, 10), (30, 30, 40, -5))
    pasted, mask = paste_faces(image, torch.rand(2, 64, 64, 3), faces)
    outside = mask == 0.0
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[image.element_size()]
    assert pasted.dtype == dtype
    assert torch.equal(pasted.view(integers)[outside], image.view(integers)[outside])
    assert mask[0, 58, 78:81].max() == 0.0
    assert 0.5 < outside.float().mean() < 0.95
    assert not torch.equal(pasted[~outside], image[~outside])


def test_the_input_is_not_changed(make_faces):
    image, crops = torch.rand(1, 200, 240, 3), torch.rand(1, 64, 64, 3)
    before = image.clone(), crops.clone()
    faces = make_faces((120, 100, 90))
    first, _ = paste_faces(image, crops, faces)
    second, _ = paste_faces(image, crops, faces)
    assert torch.equal(image, before[0])
    assert torch.equal(crops, before[1])
    assert torch.equal(first, second)


def test_pasting_twice_changes_nothing_where_the_mask_is_full(make_faces):
    crops, faces = torch.rand(1, 64, 64, 3), make_faces((120, 100, 90, 8))
    once, mask = paste_faces(torch.rand(1, 200, 240, 3), crops, faces)
    twice, _ = paste_faces(once, crops, faces)
    full = mask == 1.0
    assert full.any()
    assert torch.equal(once[full], twice[full])


def test_opacity_zero_returns_the_picture(make_faces):
    image = torch.rand(1, 200, 240, 3)
    options = PasteOptions(opacity=0.0)
    pasted, mask = paste_faces(image, torch.rand(1, 64, 64, 3), make_faces((120, 100, 90)), options)
    assert torch.equal(pasted, image)
    assert mask.max() == 0.0


def test_opacity_mixes_in_proportion(make_faces):
    options = PasteOptions(opacity=0.25)
    image, crops = torch.zeros(1, 200, 240, 3), torch.ones(1, 64, 64, 3)
    pasted, mask = paste_faces(image, crops, make_faces((120, 100, 90)), options)
    assert mask.max() == pytest.approx(0.25)
    assert torch.allclose(pasted, mask[..., None].expand_as(pasted), atol=1e-6)


def test_no_face_returns_the_picture(make_faces):
    image = torch.rand(3, 20, 30, 3)
    faces = make_faces(frames=3, height=20, width=30)
    pasted, mask = paste_faces(image, torch.zeros(0, 64, 64, 3), faces)
    assert torch.equal(pasted, image)
    assert mask.shape == (3, 20, 30)
    assert mask.max() == 0.0


def test_each_crop_goes_to_its_own_frame(make_faces):
    faces = make_faces((60, 60, 80, 0, 1), (150, 120, 80, 0, 1), (120, 90, 80, 0, 0), frames=3)
    crops = torch.stack([torch.full((16, 16, 3), value) for value in (0.2, 0.4, 0.6)])
    pasted, _ = paste_faces(torch.zeros(3, 200, 240, 3), crops, faces)
    assert pasted[0, 90, 120, 0] == pytest.approx(0.2)
    assert pasted[1, 60, 60, 0] == pytest.approx(0.4)
    assert pasted[1, 120, 150, 0] == pytest.approx(0.6)
    assert pasted[2].max() == 0.0


@pytest.mark.parametrize("place", [(0, 100), (239, 199), (-40, 100), (5000, 100)])
def test_faces_may_reach_or_lie_outside_the_picture(make_faces, place):
    faces = make_faces((*place, 120, 20))
    pasted, mask = paste_faces(torch.zeros(1, 200, 240, 3), torch.ones(1, 64, 64, 3), faces)
    assert torch.allclose(pasted[..., 0], mask, atol=1e-6)
    assert (mask.max() > 0.0) == (place[0] < 1000)


def test_one_pixel_pictures_are_pasted_into(make_faces):
    faces = make_faces((0, 0, 40), height=1, width=1)
    pasted, mask = paste_faces(torch.zeros(1, 1, 1, 3), torch.ones(1, 16, 16, 3), faces)
    assert mask.item() == 1.0
    assert pasted.min() == 1.0


def test_a_shrunk_crop_does_not_alias(make_faces):
    rows, columns = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    stripes = ((rows + columns) % 2).float()[None, ..., None].expand(-1, -1, -1, 3)
    pasted, mask = paste_faces(torch.zeros(1, 200, 240, 3), stripes, make_faces((120, 100, 90, 9)))
    assert (pasted[mask == 1.0] - 0.5).abs().max() < 0.06


def test_bicubic_never_leaves_the_range_of_the_crop(make_faces):
    crops = (torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    pasted, _ = paste_faces(torch.zeros(1, 200, 240, 3), crops, make_faces((120, 100, 160)))
    assert pasted.min() >= 0.0
    assert pasted.max() <= 1.0


def test_given_masks_choose_what_is_replaced(make_faces):
    masks = torch.zeros(1, 32, 32)
    masks[:, :, 16:] = 1.0
    pasted, mask = paste_faces(
        torch.zeros(1, 200, 240, 3),
        torch.ones(1, 64, 64, 3),
        make_faces((120, 100, 80)),
        PasteOptions(feather=0.05),
        masks,
    )
    assert mask[0, 100, 140] == 1.0
    assert mask[0, 100, 100] == 0.0
    assert torch.allclose(pasted[..., 0], mask)


@pytest.mark.parametrize("side", [15, 30, 64, 180])
def test_a_mask_of_a_spot_loses_nothing_to_its_rectangle(make_faces, side):
    spot = torch.zeros(1, 64, 64)
    spot[:, 20:28, 40:44] = 1.0
    whole = spot.clamp(min=1e-7)  # covers the crop, but for no more than rounding
    image, crops = torch.zeros(1, 200, 240, 3), torch.ones(1, 64, 64, 3)
    faces = make_faces((120.3, 100.6, side, 15))
    pasted, mask = paste_faces(image, crops, faces, masks=spot)
    expected, expected_mask = paste_faces(image, crops, faces, masks=whole)
    assert mask.max() > 0.1
    assert torch.allclose(mask, expected_mask, atol=1e-5)
    assert torch.allclose(pasted, expected, atol=1e-5)


def test_overlapping_faces_stay_inside_their_ranges(make_faces):
    faces = make_faces((100, 100, 90), (130, 100, 90))
    image, crops = torch.full((1, 200, 240, 3), 0.2), torch.ones(2, 32, 32, 3)
    pasted, mask = paste_faces(image, crops, faces)
    assert torch.allclose(pasted[..., 0], 0.2 + 0.8 * mask, atol=1e-6)
    assert mask.max() <= 1.0


def test_broken_pixels_under_a_face_are_repaired(make_faces):
    image = torch.full((1, 200, 240, 3), 0.5)
    image[0, 100, 120] = torch.nan
    pasted, _ = paste_faces(image, torch.full((1, 32, 32, 3), 0.25), make_faces((120, 100, 80)))
    assert pasted[0, 100, 120].tolist() == pytest.approx([0.25] * 3)


@pytest.mark.parametrize(("how", "gain", "left"), [("mean", 1.0, 0.15), ("lab", 0.8, 0.5)])
def test_colour_match_takes_a_cast_away(sampled, make_faces, how, gain, left):
    image = sampled(200, 240)[None] * 0.6 + 0.2
    faces = make_faces((115, 98, 110, 17))
    tinted = crop_faces(image, faces, 96) * gain + torch.tensor([0.15, 0.0, 0.05])
    plain, _ = paste_faces(image, tinted, faces)
    matched, _ = paste_faces(image, tinted, faces, PasteOptions(colour_match=how))
    assert (matched - image).abs().mean() < left * (plain - image).abs().mean()


def test_colour_match_ignores_what_lies_outside_the_picture(make_faces):
    image = torch.full((1, 200, 240, 3), 0.8)
    options = PasteOptions(colour_match="mean")
    faces = make_faces((10, 100, 110))
    pasted, mask = paste_faces(image, torch.full((1, 64, 64, 3), 0.3), faces, options)
    assert pasted[mask == 1.0].min() == pytest.approx(0.8, abs=1e-3)


def test_what_does_not_belong_together_is_refused(make_faces):
    image, faces = torch.rand(1, 200, 240, 3), make_faces((120, 100, 60), (60, 60, 40))
    with pytest.raises(PictureError, match="1 crops for 2 faces"):
        paste_faces(image, torch.rand(1, 32, 32, 3), faces)
    with pytest.raises(PictureError, match="square RGB crops"):
        paste_faces(image, torch.rand(2, 32, 30, 3), faces)
    with pytest.raises(PictureError, match="square mask"):
        paste_faces(image, torch.rand(2, 32, 32, 3), faces, masks=torch.rand(1, 32, 32))


def test_a_crop_that_is_not_finite_names_its_face(make_faces):
    crops = torch.rand(2, 32, 32, 3)
    crops[1, 3, 3, 0] = torch.nan
    faces = make_faces((120, 100, 60), (60, 60, 40))
    with pytest.raises(PictureError, match="face 2"):
        paste_faces(torch.rand(1, 200, 240, 3), crops, faces)


@pytest.mark.parametrize(
    "wrong",
    [
        {"feather": 0.6},
        {"feather": -0.1},
        {"opacity": 1.1},
        {"colour_match": "hsv"},
        {"resampling": "x"},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(SettingError, match=r"must be|use"):
        PasteOptions(**wrong)


class _Elements(TorchDispatchMode):
    """Counts the elements that operations write, but for the copies of whole frames."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        result = operation(*arguments, **(keywords or {}))
        whole = ("clone", "new_zeros", "slice", "select", "view", "expand", "alias", "permute")
        if isinstance(result, torch.Tensor) and not any(name in str(operation) for name in whole):
            self.written += result.numel()
        return result


def test_work_follows_the_area_of_the_faces_not_of_the_picture(make_faces):
    def elements(height: int, width: int, side: float, covered: int = 64) -> int:
        faces = make_faces((120, 100, side), height=height, width=width)
        image, crops = torch.zeros(1, height, width, 3), torch.ones(1, 64, 64, 3)
        masks = torch.zeros(1, 64, 64)
        masks[:, :covered] = 1.0
        with _Elements() as count:
            paste_faces(image, crops, faces, masks=masks)
        return count.written

    assert elements(1600, 1920, 80) == elements(200, 240, 80)
    assert elements(1600, 1920, 160) > elements(1600, 1920, 80)
    assert elements(1600, 1920, 160) > 2 * elements(1600, 1920, 160, covered=20)
