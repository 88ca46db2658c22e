"""Boxes in the forms other packs use, and the faces found inside them."""

from collections import namedtuple
from typing import Any

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.faces import Box, Faces
from codeformer_core.faces.boxes import faces_in_boxes, read_boxes, read_segments
from codeformer_core.runtime import Runtime

ONE = {"x": 10, "y": 20, "width": 30, "height": 40, "label": "face", "score": 0.7}
BOX = Box(10, 20, 40, 60)
Segment = namedtuple("Segment", "bbox")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ONE, [[BOX], [BOX]]),
        ([ONE, ONE], [[BOX, BOX], [BOX, BOX]]),
        ([[ONE], []], [[BOX], []]),
        ([[ONE]], [[BOX], [BOX]]),
        ([], [[], []]),
        ([[], []], [[], []]),
    ],
)
def test_all_forms_of_boxes_are_read(data: Any, expected: list[list[Box]]) -> None:
    assert read_boxes(data, 2) == expected


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([[ONE]] * 3, "3 frames, but 2 pictures"),
        ("boxes", "dictionaries"),
        (7, "dictionaries"),
        ([7], "dictionary"),
        ({"x": 1}, "dictionary"),
        ({**ONE, "x": float("nan")}, "not numbers"),
        ({**ONE, "width": 0}, "empty"),
    ],
)
def test_other_forms_are_refused_in_words(data: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        read_boxes(data, 2)


def test_segments_follow_the_size_of_the_picture() -> None:
    segments = ((100, 200), [Segment((10, 20, 40, 60))])
    assert read_segments(segments, 1, 200, 400) == [[Box(20, 40, 80, 120)]]
    with pytest.raises(SettingError, match="SEGS"):
        read_segments([ONE], 1, 10, 10)


class Marks:
    """Finds a face of 20 px around every white pixel."""

    name = "marks"

    def __init__(self, make_faces: Any) -> None:
        self.make_faces = make_faces
        self.searched: list[tuple[int, ...]] = []

    def detect(self, frames: torch.Tensor, *, runtime: Runtime, **settings: Any) -> Faces:
        self.searched.append(tuple(frames.shape))
        height, width = frames.shape[1:3]
        places = [(float(x), float(y), 30) for y, x in frames[0, :, :, 0].nonzero()]
        runtime.report(1, 1)
        return self.make_faces(*places, height=height, width=width)


def test_landmarks_are_found_inside_the_boxes_only(make_faces: Any) -> None:
    frames = torch.zeros(2, 200, 240, 3)
    frames[0, 60, 50] = frames[0, 60, 75] = frames[1, 150, 200] = 1
    detector = Marks(make_faces)
    boxes = [[Box(40, 50, 60, 70)], [Box(10, 10, 30, 30), Box(190, 140, 210, 160)]]
    seen: list[tuple[int, int]] = []
    runtime = Runtime(lambda *at: seen.append(at))
    faces, missing = faces_in_boxes(frames, boxes, detector, runtime=runtime)
    assert [len(frame) for frame in faces.frames] == [1, 1]
    assert missing == 1
    assert seen == [(333, 1000), (667, 1000), (1000, 1000)]
    face = faces.frames[1][0]
    expected = make_faces((200, 150, 30)).frames[0][0]
    assert face.box == boxes[1][1]
    torch.testing.assert_close(
        torch.tensor(face.placement.matrix), torch.tensor(expected.placement.matrix)
    )
    assert (face.placement.picture_height, face.placement.picture_width) == (200, 240)
    assert max(max(shape[1:3]) for shape in detector.searched) < 60, "not the whole picture"


def test_boxes_outside_of_the_picture_hold_no_face(make_faces: Any) -> None:
    frames = torch.ones(1, 20, 20, 3)
    faces, missing = faces_in_boxes(frames, [[Box(500, 500, 520, 520)]], Marks(make_faces))
    assert (faces.count, missing) == (0, 1)


def test_no_boxes_are_no_faces(make_faces: Any) -> None:
    faces, missing = faces_in_boxes(torch.zeros(3, 8, 8, 3), [[], [], []], Marks(make_faces))
    assert (len(faces), faces.count, missing) == (3, 0, 0)
