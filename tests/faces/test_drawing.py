"""Numbered boxes."""

import torch

from codeformer_core.faces import draw_faces


def test_boxes_are_drawn_and_everything_else_stays(make_faces):
    images = torch.rand(2, 200, 240, 3)
    before = images.clone()
    faces = make_faces((60, 90, 60), (170, 110, 80), frames=2)
    drawn = draw_faces(images, faces)
    changed = (drawn != images).any(-1)
    assert torch.equal(images, before)
    assert not changed[1].any()
    for face in faces:
        left, top = round(face.box.left), round(face.box.top)
        right, bottom = round(face.box.right), round(face.box.bottom)
        assert changed[0, top + 20 : bottom - 20, left].all()
        changed[0, top - 20 : bottom + 4, left - 3 : right + 4] = False
    assert not changed.any()


def test_numbers_run_on_over_the_frames(make_faces):
    images = torch.zeros(2, 200, 240, 3)
    one_frame = make_faces((120, 100, 90), frames=1)
    two_frames = make_faces((60, 60, 40), (120, 100, 90, 0, 1), frames=2)
    expected = draw_faces(images[:1], one_frame, first_number=2)
    assert torch.equal(draw_faces(images, two_frames)[1], expected[0])
    assert not torch.equal(draw_faces(images[:1], one_frame), expected)


def test_faces_at_the_edge_and_one_pixel_pictures_can_be_drawn(make_faces):
    outside = make_faces((-100, 100, 90), (240, 0, 90))
    assert draw_faces(torch.zeros(1, 200, 240, 3), outside).shape == (1, 200, 240, 3)
    tiny = make_faces((0, 0, 1), height=1, width=1)
    assert draw_faces(torch.zeros(1, 1, 1, 3), tiny).shape == (1, 1, 1, 3)
