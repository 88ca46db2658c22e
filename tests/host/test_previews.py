"""What the browser part is told of a long batch."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch


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
