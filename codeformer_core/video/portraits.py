"""One picture of everybody in a video, by whose number people are chosen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..faces import Box, Face, Faces, Landmarks, Placement, affine, crop_face
from ..faces.drawing import draw_faces
from .information import VideoInformation
from .people import number_people
from .reading import frame_at
from .survey import Survey, displayed

SIDE = 256
"""Of a portrait in pixels."""
AROUND = 2.0
"""Side of a portrait against that of the face's box."""


def portraits(information: VideoInformation, survey: Survey) -> Tensor:
    """Show everybody where the detector is surest of the face and it is large.

    Args:
        information: the video.
        survey: what its first pass found.

    Returns:
        (P, SIDE, SIDE, 3) in 0..1, person 1 first, each with a box and the person's number;
        gray is who shows no shape of a face even in the best frame.
    """
    best = _best_frames(survey)
    pictures = torch.full((max(best, default=0), SIDE, SIDE, 3), 0.5)
    for person, seen in best.items():
        pictures[person - 1] = _portrait(information, survey, person, *seen)
    return pictures


def _best_frames(survey: Survey) -> dict[int, tuple[int, Face]]:
    """For every person a frame and the face in it."""
    best: dict[int, tuple[float, int, Face]] = {}
    for track, person in zip(survey.tracks, number_people(survey.tracks), strict=True):
        quality = track.scores * np.sqrt(np.ptp(track.points, axis=1).prod(-1))
        place = int(quality.argmax())
        face = track.face(track.start + place, person, survey.height, survey.width)
        if face is not None and quality[place] > best.get(person, (0.0,))[0]:
            best[person] = (float(quality[place]), track.start + place, face)
    return {person: (index, face) for person, (_, index, face) in best.items()}


def _portrait(
    information: VideoInformation, survey: Survey, person: int, index: int, face: Face
) -> Tensor:
    """(SIDE, SIDE, 3), gray around where the frame ends or cannot be read again."""
    window = _window(face.box, survey)
    picture = frame_at(information, survey.times.starts[index])
    crop = torch.full((SIDE, SIDE, 3), 0.5)
    if picture is not None:
        crop = crop_face(displayed(picture, information, survey.height, survey.width), window)
    return draw_faces(
        crop[None], Faces(((_moved(face, window),),), SIDE, SIDE), first_number=person
    )[0]


def _window(box: Box, survey: Survey) -> Placement:
    """The upright square around a face."""
    scale, (x, y) = SIDE / (AROUND * max(1.0, box.size)), box.centre
    middle = (SIDE - 1) / 2
    matrix = ((scale, 0.0, middle - scale * x), (0.0, scale, middle - scale * y))
    return Placement(matrix, SIDE, survey.height, survey.width)


def _moved(face: Face, window: Placement) -> Face:
    """A face as it lies in a window."""

    def inside(x: float, y: float) -> tuple[float, float]:
        return affine.apply(window.matrix, (x, y))

    box = face.box
    corners = (*inside(box.left, box.top), *inside(box.right, box.bottom))
    points = Landmarks(*(inside(*point) for point in face.landmarks.points))
    return Face(Box(*corners), face.score, points, window)
