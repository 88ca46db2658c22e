"""Which faces a selection takes, and what it says about those that are not there."""

from dataclasses import replace

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.faces import Faces, Selection, select_places
from codeformer_core.faces.selection import parse_numbers


@pytest.fixture
def crowd(make_faces) -> Faces:
    """Frame 0: three faces from left to right; 1: none; 2: one. The widest box is number 2."""
    return make_faces((40, 90, 50), (110, 100, 90), (200, 60, 30), (60, 60, 60, 0, 2), frames=3)


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
    assert [place + 1 for place in sorted(select_places(crowd, selection))] == expected


def test_taken_faces_stay_in_their_frames(crowd) -> None:
    places = select_places(crowd, Selection("numbers", numbers="2, 4"))
    taken, others = crowd.take(places), crowd.without(places)
    flat = list(crowd)
    assert list(taken) == [flat[1], flat[3]]
    assert list(others) == [flat[0], flat[2]]
    for index, frame in enumerate(crowd.frames):
        assert set(taken.frames[index]) | set(others.frames[index]) == set(frame)


def test_faces_of_equal_value_are_told_apart(crowd) -> None:
    twins = replace(crowd, frames=(crowd.frames[0][:1] * 2,))
    assert twins.take({1}).count == 1
    assert twins.without({1}).count == 1


@pytest.mark.parametrize("text", ["5", "0", "2-9"])
def test_out_of_range_names_the_range(crowd, text) -> None:
    with pytest.raises(SettingError, match="from 1 to 4"):
        select_places(crowd, Selection("numbers", numbers=text))


def test_numbers_without_any_face_pass(make_faces) -> None:
    assert not select_places(make_faces(frames=2), Selection("numbers", numbers="7"))


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
