"""Which faces a selection takes, and what it says about those that are not there."""

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.faces import Faces, Selection, other_faces, select_faces
from codeformer_core.faces.selection import parse_numbers


@pytest.fixture
def crowd(make_faces) -> Faces:
    """Frame 0: three faces from left to right; 1: none; 2: one. The widest box is number 2."""
    return make_faces((40, 90, 50), (110, 100, 90), (200, 60, 30), (60, 60, 60, 0, 2), frames=3)


def numbers(faces: Faces, chosen: Faces) -> list[int]:
    return [list(faces).index(face) + 1 for face in chosen]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), [1, 2, 3, 4]),
        (Selection("largest"), [2, 4]),
        (Selection("largest", 2), [1, 2, 4]),
        (Selection("left to right", 2), [1, 2, 4]),
        (Selection("centre first"), [2, 4]),
        (Selection("highest score", 9), [1, 2, 3, 4]),
        (Selection("numbers", numbers="4, 2-3"), [2, 3, 4]),
        (Selection("numbers", numbers=""), []),
        (Selection("largest", 0), []),
        (Selection(min_size=40), [2, 4]),
        (Selection("largest", max_size=40), [1]),
        (Selection(min_score=0.95), []),
    ],
)
def test_selection_takes_these_faces_in_their_order(crowd, selection, expected) -> None:
    chosen = select_faces(crowd, selection)
    assert numbers(crowd, chosen) == expected
    assert len(chosen) == len(crowd)
    assert all(face.frame == i for i, frame in enumerate(chosen.frames) for face in frame)


def test_others_are_the_rest(crowd) -> None:
    chosen = select_faces(crowd, Selection("numbers", numbers="2"))
    assert numbers(crowd, other_faces(crowd, chosen)) == [1, 3, 4]


@pytest.mark.parametrize("text", ["5", "0", "2-9"])
def test_out_of_range_names_the_range(crowd, text) -> None:
    with pytest.raises(SettingError, match="from 1 to 4"):
        select_faces(crowd, Selection("numbers", numbers=text))


def test_numbers_without_any_face_pass(make_faces) -> None:
    assert select_faces(make_faces(frames=2), Selection("numbers", numbers="7")).count == 0


@pytest.mark.parametrize("text", ["one", "1.5", "-2", "3-1", "1--2"])
def test_unreadable_numbers_are_refused_with_the_word(text) -> None:
    with pytest.raises(SettingError, match="write"):
        parse_numbers(text)


def test_numbers_are_read_leniently() -> None:
    assert parse_numbers(" 1,3 - 5; 7\n9 ") == [1, 3, 4, 5, 7, 9]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rule": "best"},
        {"count": -1},
        {"min_score": 2.0},
        {"min_size": float("nan")},
        {"min_size": 50, "max_size": 40},
    ],
)
def test_settings_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(SettingError):
        Selection(**wrong)
