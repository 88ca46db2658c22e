"""Boxes that something else found: read them in their usual forms, find the landmarks inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import PictureError, SettingError
from ..runtime import Runtime
from .affine import Point
from .alignment import place
from .detection import FaceDetector
from .types import TEMPLATE_SIZE, Box, Face, Faces, Landmarks

MARGIN = 0.4
"""Share of a box's longer side that is searched around it: detectors need to see a whole head."""

DEFAULT_BOX_CONFIDENCE = 0.3
"""Something else is sure already that there is a face."""


def read_boxes(data: Any, frames: int) -> list[list[Box]]:
    """Read bounding boxes in any of the forms in which ComfyUI passes them around.

    Args:
        data: one ``{"x", "y", "width", "height"}``, a list of them (the same for every frame), or
            a list of lists, one for each frame.
        frames: number of frames.

    Returns:
        The boxes of every frame.

    Raises:
        SettingError: another form, or lists for another number of frames.
    """
    if isinstance(data, Mapping):
        data = [data]
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise SettingError(f"boxes are dictionaries with x, y, width, height, not {data!r:.60}")
    if not all(isinstance(item, list | tuple) for item in data) or not data:
        return [[_box(item) for item in data] for _ in range(frames)]
    if len(data) not in (1, frames):
        raise SettingError(
            f"there are boxes for {len(data)} frames, but {frames} pictures: give one list for "
            "each picture, or one for all"
        )
    read = [[_box(item) for item in frame] for frame in data]
    return read if len(read) == frames else read * frames


def read_segments(segments: Any, frames: int, height: int, width: int) -> list[list[Box]]:
    """Read the boxes of Impact Pack's SEGS, the same for every frame.

    Args:
        segments: ``((H, W), [SEG, ...])``, each with ``bbox`` as left, top, right, bottom in a
            picture of H by W.
        frames: number of frames.
        height: rows of the pictures the boxes are wanted for.
        width: their columns.

    Raises:
        SettingError: another form.
    """
    try:
        (rows, columns), items = segments
        edges = [tuple(float(edge) for edge in item.bbox) for item in items]
        boxes = [_checked(Box(*four), four) for four in edges]
        down, across = height / rows, width / columns
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise SettingError(f"these are no SEGS of the Impact Pack: {error}") from error
    scaled = [
        Box(box.left * across, box.top * down, box.right * across, box.bottom * down)
        for box in boxes
    ]
    return [list(scaled) for _ in range(frames)]


def faces_in_boxes(
    frames: Tensor,
    boxes: Sequence[Sequence[Box]],
    detector: FaceDetector,
    *,
    confidence: float = DEFAULT_BOX_CONFIDENCE,
    min_size: float = 0.0,
    runtime: Runtime | None = None,
) -> tuple[Faces, int]:
    """Find the landmarks of the face inside every box.

    Args:
        frames: (B, H, W, 3) float, RGB, 0..1.
        boxes: the boxes of every frame.
        detector: searches each box and a margin around it.
        confidence: how sure it must be, 0 to 1.
        min_size: boxes whose longer side has fewer pixels are left out.
        runtime: where the detector runs and progress goes, counted in boxes.

    Returns:
        The faces, with the boxes that were given, in their order; and the number of boxes in which
        no face was found.

    Raises:
        SettingError: boxes for another number of frames, or a setting out of range.
    """
    if len(boxes) != len(frames):
        raise SettingError(f"there are boxes for {len(boxes)} frames, but {len(frames)} pictures")
    height, width = int(frames.shape[1]), int(frames.shape[2])
    runtime = runtime or Runtime()
    large = [(index, box) for index, row in enumerate(boxes) for box in row if box.size >= min_size]
    found: list[list[Face]] = [[] for _ in frames]
    for done, (index, box) in enumerate(large):
        search = runtime.share(done / len(large), (done + 1) / len(large))
        face = _face_in(frames[index], box, detector, confidence, search)
        if face is not None:
            found[index].append(face)
    result = Faces(tuple(map(tuple, found)), height, width)
    return result, len(large) - result.count


def box_masks(faces: Faces) -> Tensor:
    """Boxes filled with 1: (B, H, W)."""
    masks = torch.zeros(len(faces), faces.height, faces.width)
    for frame, face in faces.in_frames():
        left, top = max(0, round(face.box.left)), max(0, round(face.box.top))
        right, bottom = max(0, round(face.box.right)), max(0, round(face.box.bottom))
        masks[frame, top:bottom, left:right] = 1
    return masks


def _face_in(
    frame: Tensor, box: Box, detector: FaceDetector, confidence: float, runtime: Runtime
) -> Face | None:
    """The face that fills a box best, in pixels of the frame."""
    height, width = int(frame.shape[0]), int(frame.shape[1])
    reach = MARGIN * box.size
    left, top = max(0, math.floor(box.left - reach)), max(0, math.floor(box.top - reach))
    right, bottom = (math.ceil(edge + reach) for edge in (box.right, box.bottom))
    region = frame[top:bottom, left:right]
    if 0 in region.shape[:2]:
        return None
    seen = detector.detect(region[None], confidence=confidence, min_size=0.0, runtime=runtime)
    inside = Box(box.left - left, box.top - top, box.right - left, box.bottom - top)
    best = max(seen, key=lambda face: _overlap(face.box, inside), default=None)
    if best is None or _overlap(best.box, inside) == 0.0:
        return None
    landmarks = Landmarks(*(_moved(point, left, top) for point in best.landmarks.points))
    try:
        placement = place(landmarks, TEMPLATE_SIZE, height, width)
    except PictureError:
        return None
    return Face(box, best.score, landmarks, placement)


def _moved(point: Point, right: float, down: float) -> Point:
    return (point[0] + right, point[1] + down)


def _overlap(first: Box, second: Box) -> float:
    """Intersection over union."""
    common = Box(
        max(first.left, second.left),
        max(first.top, second.top),
        min(first.right, second.right),
        min(first.bottom, second.bottom),
    ).area
    return common / (first.area + second.area - common) if common > 0.0 else 0.0


def _box(data: Any) -> Box:
    try:
        left, top = float(data["x"]), float(data["y"])
        right, bottom = left + float(data["width"]), top + float(data["height"])
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise SettingError(
            f"a box is a dictionary with x, y, width, height, not {data!r:.60}"
        ) from error
    return _checked(Box(left, top, right, bottom), data)


def _checked(box: Box, data: Any) -> Box:
    if not all(math.isfinite(edge) for edge in (box.left, box.top, box.right, box.bottom)):
        raise SettingError(f"the box {data!r:.80} holds values that are not numbers")
    if box.area <= 0.0:
        raise SettingError(f"the box {data!r:.80} is empty: width and height must be above 0")
    return box
