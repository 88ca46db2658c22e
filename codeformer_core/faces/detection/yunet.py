"""Face detection with YuNet, which ships with this package and is run by OpenCV.

Source: Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector".

The network sees faces of about 10 to 300 pixels, and of small ones hardly how they are turned. So
every picture is searched at several sizes, and every face is looked at again in its own aligned
crop, which corrects its landmarks and shows what is no face after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import PictureError
from ...packages import needed_for
from ...runtime import Runtime
from .. import affine
from ..alignment import TEMPLATE, place
from ..crop import crop_face
from ..types import TEMPLATE_SIZE, Box, Landmarks, Placement
from .base import Finding, WorkingCopy, in_picture
from .detector import SearchingDetector
from .retinaface import nms

MODEL_FILE = Path(__file__).parents[2] / "weights" / "yunet_n_640_640.onnx"

SMALLEST_LEVEL = 320
"""The working copy is searched again at half its size, as long as its shorter side has as many
pixels: so large faces are found too, for a third more work."""

LARGEST_OVERLAP = 0.4
MOST_ANCHORS = 5000
"""Of one level, for suppression."""
LOWEST_SCORE = 0.3
"""What scores less is never a face."""
MOST_CANDIDATES = 1000
"""That are looked at again: pictures of nothing but texture must not take minutes."""

LOOKS = 2
"""In the crop. One still misses a part of the turn."""
LOOK_SIZE = 160
LOOK_BLUR = 1.5
"""Deviation in pixels: the noise of a small face that was enlarged hides it from the network."""
LOOK_TEMPLATE = affine.apply_all(
    affine.scaling(LOOK_SIZE / TEMPLATE_SIZE, LOOK_SIZE / TEMPLATE_SIZE), TEMPLATE.points
)
FARTHEST = 30.0
"""Mean distance of its points to the template's, in the crop, of what is still the same face."""

CONFIDENCES = ((0.0, 0.43, 1.0), (0.0, 0.8, 1.0))
"""Means of the scores of the first and the last look, and the confidence each of them is, with
straight lines in between. Of the default 0.8 are: every face that both looks see, one that only
the first is sure of (0.86; blurred or noisy), but not the texture that only the first takes for a
face (up to 0.77). Sharp faces get 0.97."""

NEARLY_HALF = 0.4987
"""Rounds to bytes. Resized bytes often lie right between two, and then round-off, which depends on
the number of threads, would decide; and a flipped byte moves the landmarks."""

TEMPLATE_BOX = Box(124.0, 95.0, 401.0, 471.0)
"""A face from forehead to chin in a 512-pixel crop: RetinaFace's mean box on aligned faces, so
that sizes mean the same for every detector."""


class YuNetDetector(SearchingDetector):
    """Finds faces on the CPU, by as many threads as OpenCV takes: the result is the same."""

    name = "yunet"

    def __init__(self) -> None:
        """Read the network.

        Raises:
            MissingModelError: OpenCV is missing or cannot be loaded.
        """
        with needed_for("the YuNet detector", "opencv-python"):
            import cv2
        self._cv2: Any = cv2
        self._network = _read_network(cv2)
        self._lock = Lock()  # the size of the picture is a state of the network

    def find(
        self,
        count: int,
        copy: Callable[[int], WorkingCopy],
        pixels: int,
        runtime: Runtime,
        *,
        confidence: float,
    ) -> Iterator[list[Finding]]:
        """Search working copies; see `Find`."""
        for index in range(count):
            one = copy(index)
            seen = one.pixels.movedim(0, -1)  # (3, h, w) -> (h, w, 3)
            judged = (self._judged(seen, candidate) for candidate in self._candidates(seen))
            faces = [face for face in judged if face is not None and face.score >= confidence]
            yield [in_picture(face, one.to_picture) for face in faces]
            runtime.report(index + 1, count)

    def _candidates(self, pixels: Tensor) -> list[Finding]:
        """What may be faces of a (h, w, 3) working copy, best first, with the network's scores."""
        picture = _bytes(pixels)
        height, width = picture.shape[:2]
        found = self._look(picture)
        level = picture
        while min(level.shape[:2]) // 2 >= SMALLEST_LEVEL:
            half = (level.shape[1] // 2, level.shape[0] // 2)
            level = self._cv2.resize(level, half, interpolation=self._cv2.INTER_AREA)
            to_picture = affine.scaling(width / half[0], height / half[1])
            found += [in_picture(candidate, to_picture) for candidate in self._look(level)]
        return _strongest(found)[:MOST_CANDIDATES]

    def _judged(self, pixels: Tensor, candidate: Finding) -> Finding | None:
        """A candidate as it is seen in its own crops, with its confidence; None if it is no face.

        Args:
            pixels: (h, w, 3), the working copy.
            candidate: a finding in its pixels.
        """
        landmarks, score = candidate.landmarks, 0.0
        try:
            for _ in range(LOOKS):
                seen = self._in_crop(pixels, landmarks)
                if seen is None:
                    break
                landmarks, score = seen
            box = _face_box(place(landmarks, TEMPLATE_SIZE, *pixels.shape[:2]))
        except PictureError:  # landmarks without a shape
            return None
        confidence = np.interp(0.5 * (candidate.score + score), *CONFIDENCES)
        return Finding(box, float(confidence), landmarks)

    def _in_crop(self, pixels: Tensor, landmarks: Landmarks) -> tuple[Landmarks, float] | None:
        """Where the landmarks of a face are in its aligned crop, and the network's score there.

        Args:
            pixels: (h, w, 3), the working copy.
            landmarks: of the face, which place the crop; in its pixels, as those returned.

        Raises:
            PictureError: the landmarks have no shape.
        """
        placement = place(landmarks, LOOK_SIZE, *pixels.shape[:2])
        crop = _bytes(crop_face(pixels, placement))
        found = self._look(self._cv2.GaussianBlur(crop, (0, 0), LOOK_BLUR))
        nearest = min(found, key=_distance_to_template, default=None)
        if nearest is None or _distance_to_template(nearest) > FARTHEST:
            return None
        points = affine.apply_all(placement.inverse, nearest.landmarks.points)
        return Landmarks(*points), nearest.score

    def _look(self, picture: Any) -> list[Finding]:
        """What the network finds in a picture of (h, w, 3) BGR bytes, in its pixels."""
        with self._lock:
            self._network.setInputSize((picture.shape[1], picture.shape[0]))
            _, rows = self._network.detect(picture)
        return [_finding(row) for row in rows] if rows is not None else []


def _read_network(cv2: Any) -> Any:
    """OpenCV's detector with the model of this package."""
    model = np.frombuffer(MODEL_FILE.read_bytes(), np.uint8)
    settings = ((LOOK_SIZE, LOOK_SIZE), LOWEST_SCORE, LARGEST_OVERLAP, MOST_ANCHORS)
    with _quiet(cv2):
        try:
            return cv2.FaceDetectorYN.create("onnx", model, np.zeros(0, np.uint8), *settings)
        except (cv2.error, TypeError):  # before 4.10 it reads only files, and some names not at all
            return cv2.FaceDetectorYN.create(str(MODEL_FILE), "", *settings)


@contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """OpenCV 5 warns that it cannot set the target that it would take anyway."""
    logging = getattr(cv2.utils, "logging", None)  # where OpenCV 4 warns of nothing
    if logging is None:
        yield
        return
    level = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        logging.setLogLevel(level)


def _finding(row: Any) -> Finding:
    """A row of OpenCV's: corner and sides of the box, five points as of the template, score."""
    left, top, width, height, *points, score = map(float, row)
    landmarks = Landmarks(*zip(points[::2], points[1::2], strict=True))
    return Finding(Box(left, top, left + width, top + height), score, landmarks)


def _strongest(findings: list[Finding]) -> list[Finding]:
    """The best of every group of overlapping boxes, best first."""
    ordered = sorted(findings, key=lambda finding: -finding.score)
    edges = [(box.left, box.top, box.right, box.bottom) for box, _, _ in ordered]
    kept = nms(torch.tensor(edges).reshape(-1, 4), LARGEST_OVERLAP)
    return [ordered[index] for index in kept]


def _distance_to_template(finding: Finding) -> float:
    """Mean distance of the points to those of an aligned face, in pixels of the crop."""
    distances = map(math.dist, finding.landmarks.points, LOOK_TEMPLATE)
    return sum(distances) / len(LOOK_TEMPLATE)


def _face_box(placement: Placement) -> Box:
    """The upright box of an aligned face, of the same size however it is turned."""
    x, y = affine.apply(placement.inverse, TEMPLATE_BOX.centre)
    across = 0.5 * TEMPLATE_BOX.width / placement.scale
    down = 0.5 * TEMPLATE_BOX.height / placement.scale
    return Box(x - across, y - down, x + across, y + down)


def _bytes(pixels: Tensor) -> Any:
    """(h, w, 3) RGB in 0..1 -> BGR bytes, as OpenCV takes them."""
    return (pixels.flip(-1) * 255.0 + NEARLY_HALF).clamp(0, 255).byte().contiguous().numpy()
