"""Which of the picked faces are there, and what fidelity each gets."""

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.faces import Box, Face, Faces, landmarks_of
from codeformer_core.faces.types import Placement
from codeformer_core.pipeline.picking import pick


@pytest.fixture
def three() -> Faces:
    """Frames with two faces and one."""
    placement = Placement(((1.0, 0, 0), (0, 1.0, 0)), 32, 64, 64)
    face = Face(Box(0, 0, 32, 32), 0.9, landmarks_of(placement), placement)
    return Faces(((face, face), (face,)), 64, 64)


def fidelities(faces: Faces, numbers: list[int], values: list[float]) -> list[float]:
    return [round(float(value), 3) for value in pick(faces, numbers, values).fidelity]


def test_nothing_picked_takes_all_with_one_fidelity(three) -> None:
    picked = pick(three, [], 0.4)
    assert picked.places == (0, 1, 2)
    torch.testing.assert_close(picked.fidelity, torch.full((3,), 0.4))
    assert picked.warnings == ()


def test_missing_faces_leave_with_their_fidelity(three) -> None:
    picked = pick(three, [9, 3, 1], [0.1, 0.2, 0.3])
    assert picked.places == (0, 2)
    torch.testing.assert_close(picked.fidelity, torch.tensor([0.3, 0.2]))
    assert "face 9" in picked.warnings[0]


def test_each_number_gets_the_fidelity_written_for_it(three) -> None:
    assert fidelities(three, [3, 1], [0.2, 0.9]) == [0.9, 0.2]
    assert fidelities(three, [2, 3, 1, 3], [0.2, 0.9, 0.4]) == [0.4, 0.2, 0.9]


def test_many_missing_faces_make_a_short_note(three) -> None:
    picked = pick(three, range(1, 1_000_000), 0.5)
    assert picked.places == (0, 1, 2)
    (note,) = picked.warnings
    assert "face 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 999986 more" in note
    assert len(note) < 100


def test_as_many_fidelities_as_faces_are_wanted(three) -> None:
    with pytest.raises(SettingError, match="2 values for 3 faces"):
        pick(three, [], [0.1, 0.2])


def test_a_choice_of_which_nothing_is_left_is_no_error(three) -> None:
    assert pick(three, [7], 0.5).places == ()
