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


@pytest.fixture
def picking(host: SimpleNamespace) -> Any:
    """The pack's module."""
    return importlib.import_module(f"{host.pack.__name__}.nodes.picking")


def test_nothing_picked_takes_all_with_one_fidelity(picking: Any, three: Any) -> None:
    assert picking.pick(three, "", "", 0.4) == picking.Picked({0, 1, 2}, 0.4)


def test_missing_faces_leave_with_their_fidelity(
    picking: Any, three: Any, caplog: pytest.LogCaptureFixture
) -> None:
    picked = picking.pick(three, "9, 3, 1", "0.1, 0.2, 0.3", 0.5)
    assert picked.places == {0, 2}
    assert picked.fidelity == [0.3, 0.2]
    assert "face 9" in caplog.text


def test_each_number_gets_the_fidelity_written_for_it(picking: Any, three: Any) -> None:
    assert picking.pick(three, "3, 1", "0.2, 0.9", 0.5).fidelity == [0.9, 0.2]
    assert picking.pick(three, "2-3, 1, 3", "0.2, 0.9, 0.4", 0.5).fidelity == [0.4, 0.2, 0.9]


def test_many_missing_faces_make_a_short_message(
    picking: Any, three: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert picking.pick(three, "1-999999", "", 0.5).places == {0, 1, 2}
    assert "face 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 999986 more" in caplog.text
    assert len(caplog.text) < 300


def test_as_many_fidelities_as_faces_are_wanted(
    host: SimpleNamespace, picking: Any, three: Any
) -> None:
    with pytest.raises(host.core("errors").SettingError, match="2 fidelities for 3 faces"):
        picking.pick(three, "", "0.1, 0.2", 0.5)


def test_only_picked_faces_are_restored(host: SimpleNamespace, tiny: Any, three: Any) -> None:
    image = torch.rand(2, SIDE, SIDE, 3)
    node = host.nodes["CodeFormerRestoreImage"]
    result = node.execute(image=image, fidelity=0.5, model=tiny, faces=three, picked="3")
    assert torch.equal(result.args[0][0], image[0])
    assert not torch.equal(result.args[0][1], image[1])
    shown = result.ui["codeformer_frames"]
    chosen = [(face["number"], face["chosen"]) for frame in shown for face in frame["faces"]]
    assert chosen == [(1, False), (2, False), (3, True)]


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
