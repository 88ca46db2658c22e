"""Choose some of the faces that were found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, previews
from .schema import FacesSocket, schema

if TYPE_CHECKING:
    from ..codeformer_core.faces import Faces
    from ..codeformer_core.faces.selection import Rule


class SelectFaces(io.ComfyNode):
    """Select faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Faces in, some of them out."""
        return schema(
            node_id="CodeFormerSelectFaces",
            display_name="Select Faces",
            description="Take some of the faces: all, the largest, the surest, by position, by "
            "number, or picked in the picture. Faces that are not taken stay as they are.",
            search_aliases=["filter faces", "face index", "largest face", "sort faces"],
            is_output_node=True,
            inputs=[
                FacesSocket.Input("faces", tooltip="From Detect Faces."),
                *rule_inputs(),
                *limit_inputs(),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The pictures in which the faces were found: the node then shows them "
                    "with the numbers.",
                ),
            ],
            outputs=[
                FacesSocket.Output(
                    "selected", display_name="faces", tooltip="The chosen faces, in their order."
                ),
                FacesSocket.Output(
                    "others", display_name="others", tooltip="The faces that were not chosen."
                ),
                io.Mask.Output(
                    "mask", display_name="mask", tooltip="The boxes of the chosen faces."
                ),
                io.Int.Output("number", display_name="count", tooltip="How many were chosen."),
            ],
        )

    @classmethod
    def execute(
        cls,
        faces: Faces,
        rule: Rule,
        count: int = 1,
        numbers: str = "",
        picked: str = "",
        min_score: float = 0.0,
        min_size: int = 0,
        max_size: int = 0,
        image: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        """Select."""
        from ..codeformer_core.faces import Selection, select_places
        from ..codeformer_core.faces.boxes import box_masks
        from ..codeformer_core.faces.selection import parse_numbers
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline.picking import missing_notes

        image = None if image is None else as_images(image)
        notes: tuple[str, ...] = ()
        if rule == "picked":
            numbers = picked
            notes = missing_notes(parse_numbers(picked), faces)
        selection = Selection(rule, count, numbers, min_score, min_size, max_size)
        places = select_places(faces, selection)
        chosen = faces.take(places)
        return io.NodeOutput(
            chosen,
            faces.without(places),
            host.to_output(box_masks(chosen)),
            chosen.count,
            ui=_shown(image, faces, places)
            | {previews.SHOWN: previews.shown_frames(image, faces, places)}
            | host.warn(notes),
        )


def rule_inputs() -> list[Any]:
    """By what to choose."""
    from ..codeformer_core.faces.selection import RULES

    return [
        io.Combo.Input(
            "rule",
            options=list(RULES),
            default="all",
            tooltip="all; the first 'count' faces of every frame by size, score or position; "
            "numbers: those listed below; picked: those clicked in the picture.",
        ),
        io.Int.Input(
            "count",
            default=1,
            min=0,
            max=1000,
            optional=True,
            tooltip="How many faces of each frame to take, for the rules that put them in order.",
        ),
        io.String.Input(
            "numbers",
            default="1",
            optional=True,
            tooltip="For the rule 'numbers': for example 1, 3-5, as Detect Faces numbers them "
            "over all frames. Empty takes none.",
        ),
        io.String.Input(
            "picked",
            default="",
            optional=True,
            tooltip="For the rule 'picked': the numbers of the faces clicked in the picture, in "
            "the same form. Empty takes none.",
        ),
    ]


def limit_inputs() -> list[Any]:
    """What is left out before the rule chooses."""
    size = "Pixels of the longer side of the face's box: {} faces are left out."
    return [
        io.Float.Input(
            "min_score",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.05,
            round=0.01,
            optional=True,
            tooltip="Faces of which the detector was less sure are left out.",
        ),
        io.Int.Input(
            "min_size",
            default=0,
            min=0,
            max=16384,
            optional=True,
            tooltip=size.format("smaller"),
        ),
        io.Int.Input(
            "max_size",
            default=0,
            min=0,
            max=16384,
            optional=True,
            tooltip=size.format("larger") + " 0 sets no limit.",
        ),
    ]


def _shown(image: torch.Tensor | None, faces: Faces, places: set[int]) -> dict[str, Any]:
    """What the browser gets: the first frames with numbers, and the boxes to click on."""
    pictures = [] if image is None else previews.drawn_frames(image[..., :3], faces)
    boxes = [
        {
            "number": place + 1,
            "frame": frame,
            "box": [face.box.left, face.box.top, face.box.right, face.box.bottom],
            "score": face.score,
            "selected": place in places,
        }
        for place, (frame, face) in enumerate(faces.in_frames())
    ]
    return {"images": pictures, "faces": boxes, "size": [faces.width, faces.height]}
