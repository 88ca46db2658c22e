"""Pasting crops that something else made."""

import pytest
import torch

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import Box, Face, Faces, landmarks_of
from codeformer_core.faces.types import Placement
from codeformer_core.pipeline import paste_crops
from codeformer_core.runtime import Runtime

HEIGHT, WIDTH = 60, 100


def faces(*places: float) -> Faces:
    def face(x: float) -> Face:
        placement = Placement(((0.8, 0, 16 - 0.8 * x), (0, 0.8, -8)), 32, HEIGHT, WIDTH)
        return Face(Box(x - 12, 18, x + 12, 42), 0.9, landmarks_of(placement), placement)

    return Faces((tuple(map(face, places)),), HEIGHT, WIDTH)


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, HEIGHT, WIDTH, 4, generator=generator)


def test_crops_come_to_their_places_and_nothing_else_changes(images) -> None:
    pasted = paste_crops(images, torch.zeros(2, 16, 16, 3), faces(25, 75))
    assert torch.equal(pasted.images[0, 30, 25, :3], torch.zeros(3))
    assert torch.equal(pasted.images[0, 30, 75, :3], torch.zeros(3))
    outside = pasted.mask[0] == 0
    assert torch.equal(pasted.images[0][outside], images[0][outside])
    assert torch.equal(pasted.images[..., 3], images[..., 3])


def test_a_crop_that_is_not_finite_is_left_out_and_named(images) -> None:
    crops = torch.zeros(2, 16, 16, 3)
    crops[0, 3, 3] = torch.nan
    pasted = paste_crops(images, crops, faces(25, 75))
    assert pasted.mask[0, 30, 25] == 0
    assert pasted.mask[0, 30, 75] == 1
    assert "face 1 of 2" in pasted.warnings[0]


def test_no_more_enlarged_crops_are_there_than_are_pasted_at_once(images) -> None:
    asked: list[int] = []

    def upscaler(pictures: torch.Tensor, runtime: Runtime) -> torch.Tensor:
        asked.append(len(pictures))
        return pictures.repeat_interleave(2, 1).repeat_interleave(2, 2)

    places = [10.0 * place for place in range(1, 10)]
    paste_crops(images, torch.zeros(9, 16, 16, 3), faces(*places), face_upscaler=upscaler)
    assert asked == [4, 4, 1]


def test_crops_and_pictures_must_belong_to_the_faces(images) -> None:
    with pytest.raises(PictureError, match="3 crops for 2 faces"):
        paste_crops(images, torch.zeros(3, 16, 16, 3), faces(25, 75))
    with pytest.raises(PictureError, match="1 frames"):
        paste_crops(images.repeat(2, 1, 1, 1), torch.zeros(0, 16, 16, 3), faces())
    with pytest.raises(SettingError, match="upscale"):
        paste_crops(images, torch.zeros(0, 16, 16, 3), faces(), upscale=5)
