"""What is said about faces larger than the model."""

from codeformer_core.pipeline.large_faces import large_face_notes


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
