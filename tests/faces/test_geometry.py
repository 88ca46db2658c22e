"""Affine maps, placements and the containers of faces."""

import dataclasses

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.faces import Box, affine

SOME = ((1.5, -0.4, 12.0), (0.4, 1.5, -7.0))


def test_inverse_undoes_a_map():
    point = (31.0, -8.5)
    assert affine.apply(affine.invert(SOME), affine.apply(SOME, point)) == pytest.approx(point)


def test_compose_applies_the_second_argument_first():
    move = affine.translation(3.0, 4.0)
    both = affine.compose(SOME, move)
    assert affine.apply(both, (1.0, 2.0)) == pytest.approx(affine.apply(SOME, (4.0, 6.0)))


@pytest.mark.parametrize("factor", [0.25, 1.0, 1.5, 2.0, 4.0])
def test_scaling_keeps_the_corners_of_the_pixel_area(factor: float):
    width = 40
    resized = affine.scaling(factor, factor)
    assert affine.apply(resized, (-0.5, -0.5)) == pytest.approx((-0.5, -0.5))
    assert affine.apply(resized, (width - 0.5, 0))[0] == pytest.approx(width * factor - 0.5)


def test_a_flat_map_has_no_inverse():
    with pytest.raises(ZeroDivisionError):
        affine.invert(((1.0, 2.0, 0.0), (2.0, 4.0, 0.0)))


def test_box_measures():
    box = Box(10, 20, 40, 80)
    assert (box.width, box.height, box.area, box.size) == (30, 60, 1800, 60)
    assert box.centre == (25, 50)
    assert Box(40, 80, 10, 20).area == 0


def test_rescaled_placement_covers_the_same_square(make_faces):
    (face,) = make_faces((100, 90, 77, 20))
    smaller = face.placement.rescaled(128)
    assert smaller.crop_size == 128
    for one, other in zip(smaller.corners(), face.placement.corners(), strict=True):
        assert one == pytest.approx(other)
    assert smaller.face_size == pytest.approx(77)


def test_scale_counts_crop_pixels_per_picture_pixel(make_faces):
    (face,) = make_faces((100, 90, 64, 33))
    assert face.placement.scale == pytest.approx(8.0)
    assert face.placement.rescaled(64).scale == pytest.approx(1.0)


@pytest.mark.parametrize(("height", "width"), [(400, 480), (300, 360), (517, 601), (800, 960)])
def test_upscaled_placement_follows_the_pixel_areas(make_faces, height: int, width: int):
    (face,) = make_faces((100, 90, 77, -12))
    larger = face.placement.in_upscaled_picture(height, width)
    down, right = height / 200, width / 240
    for (x, y), (new_x, new_y) in zip(face.placement.corners(), larger.corners(), strict=True):
        assert new_x == pytest.approx((x + 0.5) * right - 0.5)
        assert new_y == pytest.approx((y + 0.5) * down - 0.5)


def test_placements_never_change(make_faces):
    (face,) = make_faces((100, 90, 77))
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.placement.crop_size = 3


def test_crop_size_below_one_is_refused(make_faces):
    (face,) = make_faces((100, 90, 77))
    with pytest.raises(SettingError, match="at least 1"):
        face.placement.rescaled(0)


def test_faces_iterate_frame_by_frame(make_faces):
    faces = make_faces((10, 10, 20, 0, 2), (20, 10, 20, 0, 0), (30, 10, 20, 0, 2), frames=4)
    assert len(faces) == 4
    assert faces.count == 3
    assert [frame for frame, _ in faces.in_frames()] == [0, 2, 2]
    assert [len(frame) for frame in faces.frames] == [1, 0, 2, 0]
