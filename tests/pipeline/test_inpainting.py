"""Inpainting touches the mask only."""

import pytest
import torch
from torch import nn

from codeformer_core import load_codeformer, load_detector
from codeformer_core.errors import PictureError
from codeformer_core.faces import Box, Face, Faces, crop_faces, landmarks_of
from codeformer_core.faces.types import Placement
from codeformer_core.images import resize
from codeformer_core.pipeline import inpaint
from codeformer_core.pipeline.first_guess import depth, spread
from codeformer_core.pipeline.inpainting import hide, holes
from codeformer_core.runtime import Runtime


class Painter(nn.Module):
    """A network that makes every pixel one colour and remembers its input."""

    size = 32
    variant = "inpainting"
    bytes_per_face = 1e6
    notice = None

    def __init__(self, colour=(1.0, -1.0, -1.0)) -> None:
        super().__init__()
        self.colour = torch.tensor(colour).view(1, 3, 1, 1)
        self.seen: list[torch.Tensor] = []

    def forward(self, crops, fidelity=0.5, adain=None):
        self.seen.append(crops)
        return self.colour.expand_as(crops).clone()


def face(x: float) -> Face:
    placement = Placement(((0.8, 0, 16 - 0.8 * x), (0, 0.8, -8)), 32, 60, 100)
    return Face(Box(x - 12, 18, x + 12, 42), 0.9, landmarks_of(placement), placement)


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(2, 48, 48, 3, generator=torch.Generator().manual_seed(1)) * 0.9


def test_pixels_outside_of_the_mask_are_exact(crops) -> None:
    mask = torch.zeros(1, 48, 48)
    mask[:, 10:20, 5:30] = 1
    painter = Painter()
    filled = inpaint(painter, crops, mask).images
    assert filled.shape == crops.shape
    assert torch.equal(filled[:, mask[0] == 0], crops[:, mask[0] == 0])
    assert torch.equal(filled[0, 12, 12], torch.tensor([1.0, 0, 0]))


def test_network_sees_white_where_the_mask_is_even_a_little(crops) -> None:
    mask = torch.zeros(2, 48, 48)
    mask[1, :24] = 0.2
    painter = Painter()
    filled = inpaint(painter, crops, mask).images
    (seen,) = painter.seen[0]  # the face without a mask needs no network
    assert seen[:, 2:10].min() > 0.999
    assert seen[:, 20:].max() < 1
    assert torch.equal(filled[0], crops[0])
    expected = 0.8 * crops[1, 3, 3] + 0.2 * torch.tensor([1.0, 0, 0])
    torch.testing.assert_close(filled[1, 3, 3], expected)


@pytest.mark.parametrize("side", [256, 300])
def test_a_restoring_model_draws_features_into_a_hole(astronaut, side) -> None:
    """No white is seen, no skin comes out instead of eyes, and a gray face stays gray."""
    photo = astronaut[None].mean(3, keepdim=True).expand(-1, -1, -1, 3)
    clean = crop_faces(photo, load_detector("yunet").detect(photo), side)
    mask = torch.zeros(1, side, side)
    mask[:, side * 3 // 10 : side * 8 // 10, side // 4 : side * 3 // 4] = 1  # eyes to mouth
    filled = inpaint(load_codeformer("builtin"), clean, mask).images
    smooth = spread(clean, mask < 0.5)
    hole = mask[0] > 0
    error, of_smooth = ((each - clean)[:, hole].square().mean() for each in (filled, smooth))
    assert error < 0.8 * of_smooth
    torch.testing.assert_close(filled[..., 0], filled[..., 2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("top", [0, 60])
def test_a_face_of_which_nothing_is_seen_gets_the_colours_of_skin(astronaut, top) -> None:
    """Nothing in its crop, whether or not some of that lies outside of the picture."""
    photo = astronaut[None, top : top + 200, 100:350]
    everything = torch.ones(1, *photo.shape[1:3])
    faces = load_detector("yunet").detect(photo)
    filled = inpaint(load_codeformer("builtin"), photo, everything, faces=faces).images
    cheek = crop_faces(filled, faces, 64)[0, 34:44, 18:24].mean((0, 1))
    assert cheek[0] > cheek[1] + 0.1 > cheek[2] + 0.1


def test_the_border_of_a_picture_is_not_continued_into_a_hole() -> None:
    """A network that changes nothing leaves what was continued, and the mean face."""

    class Unchanged(Painter):
        def forward(self, crops, fidelity=0.5, adain=None):
            return crops.clone()

    unchanged = Unchanged()
    unchanged.variant = "restoration"
    red = torch.tensor([0.9, 0.1, 0.1])
    images, masks = red.expand(1, 60, 100, 3).clone(), torch.zeros(1, 60, 100)
    masks[0, :, :6] = 1
    filled = inpaint(unchanged, images, masks, faces=Faces(((face(5),),), 60, 100)).images
    assert (filled[0, 15:45, 2] - red).abs().max() < 0.25


def test_what_surrounds_a_scratch_says_more_than_a_network() -> None:
    hidden = torch.zeros(1, 64, 64, dtype=torch.bool)
    hidden[0, :, 20], hidden[0, 10:40, 30:60] = True, True
    (inside,) = depth(hidden)[0]
    assert inside[:, 20].max() == 0 and inside[25, 45] == 1 and inside[10, 45] < 0.3


def test_surroundings_are_continued_into_holes_of_any_size() -> None:
    slope = torch.linspace(0, 1, 37).view(1, 1, 37, 1).expand(2, 37, 37, 3)
    known = torch.ones(2, 37, 37, dtype=torch.bool)
    known[0, 10:20, 10:20] = False
    known[1] = False
    filled = spread(slope, known)
    assert torch.equal(filled[0][known[0]], slope[0][known[0]])
    assert (filled[0] - slope[0]).abs().max() < 0.15
    assert filled[1].abs().max() == 0


def test_a_face_that_fails_keeps_its_pixels(crops) -> None:
    filled = inpaint(Painter((float("nan"),) * 3), crops, torch.ones(1, 48, 48))
    assert "faces 1, 2 of 2" in filled.warnings[0]
    assert filled.mask.max() == 0
    torch.testing.assert_close(filled.images, crops)


def test_pictures_of_any_float_type_are_filled(crops) -> None:
    mask = torch.zeros(1, 48, 48)
    mask[:, 10:20, 5:30] = 0.5
    filled = inpaint(Painter(), crops.half(), mask).images
    assert filled.dtype == torch.float16
    torch.testing.assert_close(
        filled.float(), inpaint(Painter(), crops, mask).images, atol=2e-3, rtol=0
    )


def test_masks_of_another_number_are_refused(crops) -> None:
    with pytest.raises(PictureError, match="3 masks for 2 pictures"):
        inpaint(Painter(), crops, torch.ones(3, 48, 48))


def test_masks_of_another_shape_are_refused(crops) -> None:
    for shape in ((1, 48, 48, 1), (1, 0, 48)):
        with pytest.raises(PictureError, match=r"\(masks, height, width\)"):
            inpaint(Painter(), crops, torch.ones(shape))


def test_whole_numbers_are_refused(crops) -> None:
    with pytest.raises(PictureError, match="divide by 255"):
        inpaint(Painter(), (crops * 255).byte(), torch.ones(1, 48, 48))


def test_no_crops_give_none() -> None:
    none = torch.zeros(0, 32, 32, 3)
    assert inpaint(Painter(), none, torch.ones(1, 8, 8)).images.shape == none.shape


def test_batches_and_opacity_change_nothing(crops) -> None:
    mask = torch.zeros(2, 48, 48)
    mask[0, :20], mask[1, 30:] = 1, 0.5
    whole = inpaint(Painter(), crops, mask).images
    with_opacity = torch.cat([crops, torch.rand(2, 48, 48, 1)], dim=-1)
    parts = inpaint(Painter(), with_opacity, mask, runtime=Runtime(batch_size=1)).images
    assert torch.equal(parts[..., :3], whole)
    assert torch.equal(parts[..., 3], with_opacity[..., 3])


def test_faces_of_another_batch_are_refused() -> None:
    faces = Faces(((face(25),),), 60, 100)
    with pytest.raises(PictureError, match="1 frames"):
        inpaint(Painter(), torch.zeros(2, 60, 100, 3), torch.ones(1, 8, 8), faces=faces)


@pytest.mark.parametrize("variant", ["inpainting", "restoration"])
def test_whole_pictures_change_only_in_masked_faces(variant) -> None:
    images = torch.rand(2, 60, 100, 3, generator=torch.Generator().manual_seed(5)) * 0.9
    faces = Faces(((face(25), face(75)), ()), 60, 100)
    masks = torch.zeros(2, 60, 100)
    masks[:, 25:35, 15:35] = 1
    painter = Painter()
    painter.variant = variant
    result = inpaint(painter, images, masks, faces=faces)
    filled, reached = result.images, result.mask
    assert len(painter.seen[0]) == 1, "the face without a mask needs no network"
    assert torch.equal(filled[masks == 0], images[masks == 0])
    assert torch.equal(filled[1], images[1])
    torch.testing.assert_close(filled[0, 30, 25], torch.tensor([1.0, 0, 0]))
    assert reached[0, 30, 25] == 1
    assert reached[1].sum() == 0


def test_broken_pixels_under_the_mask_are_repaired() -> None:
    images = torch.full((1, 60, 100, 3), 0.5)
    images[0, 30, 25] = float("nan")
    masks = torch.zeros(1, 60, 100)
    masks[0, 28:33, 22:28] = 0.5
    result = inpaint(Painter(), images, masks, faces=Faces(((face(25),),), 60, 100))
    assert result.images.isfinite().all()


@pytest.mark.parametrize("side", [20, 48, 100])
def test_nothing_of_a_hole_is_left_in_resized_crops(side) -> None:
    clean = torch.linspace(0, 0.9, side).view(1, side, 1, 1).expand(1, side, side, 3)
    masks = torch.zeros(1, side, side)
    masks[:, side // 4 : side // 2, side // 3 : side // 2] = 1
    seen = resize(hide(clean, masks), 32, 32)
    changed = (seen - resize(clean, 32, 32)).abs().amax(3) > 1 / 255
    assert changed.any()
    assert not (changed & ~holes(masks, 32)).any()
