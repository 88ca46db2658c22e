"""Faces picked in the picture, and what the browser is shown."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

SIDE = 64


@pytest.fixture
def three(host: SimpleNamespace) -> Any:
    """Frames with two faces and one."""
    core = host.core("faces")
    points = ((20.0, 20.0), (40.0, 20.0), (30.0, 30.0), (22.0, 40.0), (38.0, 40.0))
    landmarks = core.Landmarks(*points)
    placement = core.place(landmarks, 32, SIDE, SIDE)

    def face(left: float) -> Any:
        box = core.Box(left, 16, left + 32, 48)
        return core.Face(box, 0.9, landmarks, placement)

    return core.Faces(((face(0), face(32)), (face(8),)), SIDE, SIDE)


def test_only_picked_faces_are_restored(host: SimpleNamespace, tiny: Any, three: Any) -> None:
    image = torch.rand(2, SIDE, SIDE, 3)
    node = host.nodes["CodeFormerRestoreImage"]
    result = node.execute(image=image, fidelity=0.5, model=tiny, faces=three, picked="3")
    assert torch.equal(result.args[0][0], image[0])
    assert not torch.equal(result.args[0][1], image[1])
    shown = result.ui["codeformer_frames"]
    chosen = [(face["number"], face["chosen"]) for frame in shown for face in frame["faces"]]
    assert chosen == [(1, False), (2, False), (3, True)]


def test_faces_picked_in_vain_are_named(
    host: SimpleNamespace, tiny: Any, three: Any, caplog: pytest.LogCaptureFixture
) -> None:
    image = torch.rand(2, SIDE, SIDE, 3)
    node = host.nodes["CodeFormerRestoreImage"]
    given = {"image": image, "fidelity": 0.5, "model": tiny, "faces": three}
    result = node.execute(**given, picked="9, 3", per_face="0.1, 1")
    assert [len(frame) for frame in result.args[2].frames] == [0, 1]
    assert "face 9" in caplog.text


def test_browser_gets_frames_as_files_and_boxes_in_parts_of_them(
    host: SimpleNamespace, three: Any
) -> None:
    image = torch.zeros(2, SIDE, SIDE, 4)
    image[0, ..., 0] = float("nan")
    image[1, ..., 1] = 7
    node = host.nodes["CodeFormerSelectFaces"]
    first, second = node.execute(faces=three, rule="all", image=image).ui["codeformer_frames"]
    assert (first["frame"], second["frame"], first["frames"]) == (0, 1, 2)
    assert first["faces"][1]["box"] == [0.5, 0.25, 1.0, 0.75]
    assert first["faces"][1]["size"] == 32
    path = f"{host.folder_paths.get_temp_directory()}/{second['picture']['filename']}"
    with Image.open(path) as picture:
        assert picture.size == (SIDE, SIDE)
        red, green, blue = picture.getpixel((32, 32))
    assert green > 250 and max(red, blue) < 6


def test_vanished_face_does_not_stop_the_selection(host: SimpleNamespace, three: Any) -> None:
    node = host.nodes["CodeFormerSelectFaces"]
    result = node.execute(faces=three, rule="picked", picked="2, 7")
    assert result.args[0].count == 1
    assert "picture" not in result.ui["codeformer_frames"][0]


def test_huge_picture_is_shown_reduced(
    host: SimpleNamespace, three: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    previews = importlib.import_module(f"{host.pack.__name__}.nodes.previews")
    monkeypatch.setattr(previews, "LARGEST", SIDE * SIDE)
    wide = torch.rand(2, SIDE, 4 * SIDE, 3)
    shown = previews.shown_frames(wide, three, three, before=wide[:, :, :SIDE])[0]
    assert (shown["width"], shown["height"]) == (2 * SIDE, SIDE // 2)
    sizes = {}
    for key in ("picture", "before"):
        name = shown[key]["filename"]
        with Image.open(f"{host.folder_paths.get_temp_directory()}/{name}") as picture:
            sizes[key] = picture.size
    assert sizes == {"picture": (2 * SIDE, SIDE // 2), "before": (SIDE, SIDE)}
