"""What the browser part is told of a long batch."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image


@pytest.mark.parametrize("limit", ["MOST_FRAMES", "MOST_PIXELS"])
def test_faces_of_all_frames_are_told_and_only_the_first_have_pictures(
    host: SimpleNamespace, make_faces: Any, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    previews = importlib.import_module(f"{host.pack.__name__}.nodes.previews")
    monkeypatch.setattr(previews, limit, 1)
    faces = make_faces((60, 60, 0), (180, 60, 0), (60, 60, 2), frames=3)
    frames = torch.rand(3, faces.height, faces.width, 3)
    shown = previews.shown_frames(frames, faces, {0, 2}, before=frames)
    numbers = [[face["number"] for face in entry["faces"]] for entry in shown]
    assert numbers == [[1, 2], [], [3]]
    assert ["picture" in entry for entry in shown] == [True, False, False]
    assert ["before" in entry for entry in shown] == [True, False, False]
    chosen = [[face["chosen"] for face in entry["faces"]] for entry in shown]
    assert chosen == [[True, False], [], [True]]


def test_boxes_are_drawn_where_the_faces_are_on_a_resized_copy(
    host: SimpleNamespace, make_faces: Any
) -> None:
    previews = importlib.import_module(f"{host.pack.__name__}.nodes.previews")
    faces = make_faces((60, 60, 0))
    picture = torch.zeros(1, faces.height, faces.width, 3)
    drawn = []
    for size in (1, 2):
        larger = torch.nn.functional.interpolate(picture.movedim(-1, 1), scale_factor=size)
        (entry,) = previews.drawn_frames(larger.movedim(1, -1), faces)
        path = Path(host.folder_paths.get_temp_directory(), entry["subfolder"], entry["filename"])
        drawn.append(Image.open(path).tobytes())
    assert drawn[0] == drawn[1]
    with pytest.raises(host.core("errors").PictureError, match="2 pictures"):
        previews.drawn_frames(picture.repeat(2, 1, 1, 1), faces)
