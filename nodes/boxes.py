"""Boxes that other packs' detectors found, as input of Detect Faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import host
from .schema import BoundingBoxes, Segments

if TYPE_CHECKING:
    from torch import Tensor

    from ..codeformer_core.faces import Faces
    from .hosted import HostedDetector


def known_box_inputs() -> list[Any]:
    """Where faces were found already."""
    return [
        BoundingBoxes.Input(
            "known_boxes",
            optional=True,
            # The frontend would otherwise make number widgets for one box and always send them.
            extra_dict={"forceInput": True},
            tooltip="Boxes of faces from any other detector (BOUNDING_BOX data): only the points "
            "inside them are searched, and confidence counts as 0.3 if it is higher, since "
            "something is sure of a face already.",
        ),
        Segments.Input(
            "segs",
            optional=True,
            tooltip="The same from the Impact Pack's SEGS.",
        ),
    ]


def in_known_boxes(
    frames: Tensor, detector: HostedDetector, boxes: Any, segs: Any, settings: dict[str, Any]
) -> Faces:
    """The faces inside the boxes of both inputs; says in how many boxes there is none."""
    from ..codeformer_core.faces.boxes import (
        DEFAULT_BOX_CONFIDENCE,
        faces_in_boxes,
        read_boxes,
        read_segments,
    )

    count, height, width = (int(size) for size in frames.shape[:3])
    found = read_boxes([] if boxes is None else boxes, count)
    if segs is not None:
        segments = read_segments(segs, count, height, width)
        found = [[*one, *other] for one, other in zip(found, segments, strict=True)]
    confidence = min(settings["confidence"], DEFAULT_BOX_CONFIDENCE)
    settings = {**settings, "confidence": confidence}
    faces, missing = faces_in_boxes(frames, found, detector, **settings)
    if missing:
        host.say(f"no face was found in {missing} of the given boxes", warning=True)
    return faces
