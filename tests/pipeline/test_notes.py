"""What is said about results."""

from dataclasses import replace
from types import SimpleNamespace

from codeformer_core.people.recogniser import Whom
from codeformer_core.pipeline.notes import (
    CHOOSE_ONE,
    large_face_notes,
    notes_on,
    recognition_notes,
)
from codeformer_core.pipeline.recognition import Recognition


def test_faces_that_fit_or_nearly_fit_are_not_mentioned():
    assert large_face_notes([], 128) == ()
    assert large_face_notes([20.0, 128.0, 160.0], 128) == ()


def test_larger_faces_are_counted_and_measured():
    (note,) = large_face_notes([100, 161, 300.4], 128)
    assert note.startswith("2 of 3 faces are larger than the model's 128 px (up to 300 px)")
    (note,) = large_face_notes([161], 128)
    assert note.startswith("the face is larger")


def test_the_remedy_fits_the_model():
    assert "codeformer.pth" in large_face_notes([1000], 128)[0]
    assert "make the picture smaller" in large_face_notes([1000], 512)[0]


def test_a_model_trained_for_something_else_is_mentioned():
    network = SimpleNamespace(size=64, variant="restoration", notice=None)
    (note,) = notes_on(network, [64.0], (), variant="inpainting")
    assert "trained for restoration, not for inpainting" in note
    network.variant = "inpainting"
    assert notes_on(network, [64.0], (), variant="inpainting") == ()


def test_references_are_not_missed_where_everybody_has_an_adapter() -> None:
    """Nor is anybody told to choose a face alone, which would change nothing."""
    both = Recognition((Whom(1), Whom(1)), references=1, adapters=1)
    assert recognition_notes(both, remedy=CHOOSE_ONE)[1] == (
        "restored without the references: who has a personal adapter needs none"
    )
    one = replace(both, whom=(Whom(1), Whom()))
    assert recognition_notes(one, remedy=CHOOSE_ONE)[1].endswith(CHOOSE_ONE)
