"""Sheets of captioned pictures."""

import torch

from codeformer_core.images.sheet import GAP, LINE_HEIGHT, Panel, draw_sheet


def test_pictures_are_brought_to_one_width_with_room_for_their_captions():
    wide = Panel(torch.zeros(10, 40, 3), ("one line",))
    tall = Panel(torch.zeros(40, 10, 3), ("two", "lines"))
    sheet = draw_sheet([[wide, wide], [tall]], width=20)
    height = 3 * GAP + (5 + LINE_HEIGHT) + (80 + 2 * LINE_HEIGHT)
    assert sheet.shape == (height, 2 * 20 + 3 * GAP, 3)


def test_pictures_and_captions_are_drawn():
    sheet = draw_sheet([[Panel(torch.zeros(20, 200, 3), ("caption",))]], width=200)
    picture = sheet[GAP : GAP + 20, GAP : GAP + 200]
    caption = sheet[GAP + 20 : -GAP, GAP : GAP + 200]
    assert float(picture.max()) == 0
    assert float(caption.min()) < 0.5 < float(caption.mean())
