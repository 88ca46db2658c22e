"""Boxes of faces as other packs pass them around, into Detect Faces and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .schema import BoundingBoxes, Segments

if TYPE_CHECKING:
    from ..codeformer_core.faces import Faces


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


def box_data(faces: Faces) -> list[list[dict[str, Any]]]:
    """Boxes in the form of core's BOUNDING_BOX: a list for each frame."""
    return [
        [
            {
                "x": face.box.left,
                "y": face.box.top,
                "width": face.box.width,
                "height": face.box.height,
                "label": "face",
                "score": face.score,
            }
            for face in frame
        ]
        for frame in faces.frames
    ]
