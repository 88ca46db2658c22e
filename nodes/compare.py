"""Measure how close two pictures are, and see what several restorers make of a face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io, ui

from . import host, shared
from .schema import CodeFormerModel, FacesSocket, detector_input, image_input, model_input, schema

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, Faces
    from ..codeformer_core.models.restorer import Restorer

MOST_MODELS = 6
"""That one node compares."""


class CompareFaces(io.ComfyNode):
    """Compare pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Two batches in, numbers and text out."""
        return schema(
            node_id="CodeFormerCompareFaces",
            display_name="Compare Faces",
            description="How close two pictures are: as signals (PSNR, SSIM), to the eye "
            "(perceptual distance) and as people (identity distance).",
            search_aliases=["psnr", "ssim", "lpips", "identity", "face similarity", "metrics"],
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="Pictures, or aligned faces."),
                io.Image.Input(
                    "other",
                    tooltip="As many to compare them with, or one for all; resized to the same "
                    "size.",
                ),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="The faces of whole pictures, on which identity is measured. Square "
                    "pictures count as aligned faces without it.",
                ),
            ],
            outputs=[
                _number("psnr", "Decibels, mean of all pairs; higher is closer."),
                _number("ssim", "Structural similarity, mean; 1 is equal."),
                _number(
                    "identity",
                    "Mean distance of the faces: below 0.4 the same person, above 0.6 another. "
                    "Not a number where it is not available.",
                ),
                _number(
                    "perceptual",
                    "Mean perceptual distance, lower is closer. Not a number where it is not "
                    "available.",
                ),
                io.String.Output(
                    "text", display_name="text", tooltip="All of it in words, pair by pair."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, image: torch.Tensor, other: torch.Tensor, faces: Faces | None = None
    ) -> io.NodeOutput:
        """Compare."""
        from ..codeformer_core.evaluation.compare import compare
        from ..codeformer_core.images import as_images

        found = compare(
            as_images(image)[..., :3],
            as_images(other)[..., :3],
            faces,
            identity=shared.identity_network,
            perceptual=shared.perceptual_distance,
            runtime=host.HostRuntime(),
        )
        numbers = (found.psnr, found.ssim, found.identity, found.perceptual)
        return io.NodeOutput(
            *(measure.mean for measure in numbers), found.text, ui=ui.PreviewText(found.text)
        )


class CompareRestorers(io.ComfyNode):
    """Compare restorers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A picture and models in, a labelled sheet out."""
        return schema(
            node_id="CodeFormerCompareRestorers",
            display_name="Compare Restorers",
            description="A face as several restorers make it, in one labelled sheet: the input, "
            "every restorer at its fidelities, the ground truth if there is one, with the measures "
            "below each; and a table.",
            search_aliases=[
                "compare models",
                "gfpgan gpen codeformer",
                "benchmark",
                "side by side",
            ],
            is_output_node=True,
            inputs=[
                image_input("One picture; its largest faces are taken, a row each."),
                model_input("From Load CodeFormer. Without any: the built-in model."),
                *(
                    CodeFormerModel.Input(
                        f"model_{number}", optional=True, tooltip="Another one, for more columns."
                    )
                    for number in range(2, MOST_MODELS + 1)
                ),
                io.String.Input(
                    "fidelities",
                    default="0, 0.5, 1",
                    tooltip="Models that know fidelity get a column for each of these.",
                ),
                io.Image.Input(
                    "truth",
                    optional=True,
                    tooltip="The same picture before it was damaged, for measures against it. "
                    "Without it, only the distance of the person to the input is measured.",
                ),
                FacesSocket.Input(
                    "faces", optional=True, tooltip="Faces to take, instead of searching."
                ),
                detector_input(),
                io.Int.Input(
                    "width",
                    default=256,
                    min=64,
                    max=1024,
                    step=16,
                    optional=True,
                    tooltip="Of every picture of the sheet, in pixels.",
                ),
            ],
            outputs=[
                io.Image.Output("sheet", display_name="sheet", tooltip="For Save Image."),
                io.String.Output(
                    "table", display_name="table", tooltip="The measures, as a Markdown table."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        fidelities: str,
        model: Restorer | None = None,
        truth: torch.Tensor | None = None,
        faces: Faces | None = None,
        detector: FaceDetector | None = None,
        width: int = 256,
        **models: Restorer | None,
    ) -> io.NodeOutput:
        """Compare."""
        from ..codeformer_core.evaluation.lineup import line_up
        from ..codeformer_core.pipeline.codes import parse_fidelities

        connected = [each for each in (model, *models.values()) if each is not None]
        restorers = connected or [shared.restorer_or_default(None)]
        lineup = line_up(
            image,
            [lambda restorer=restorer: restorer for restorer in restorers],
            None if faces is not None else shared.detector_or_default(detector),
            faces=faces,
            fidelities=parse_fidelities(fidelities),
            truth=truth,
            identity=shared.identity_network,
            perceptual=shared.perceptual_distance,
            runtime=host.HostRuntime(previews=False),
        )
        text = ui.PreviewText(lineup.table).as_dict()
        sheet = lineup.sheet(width)[None]
        return io.NodeOutput(
            host.to_output(sheet), lineup.table, ui={**text, **host.warn(lineup.warnings)}
        )


def _number(name: str, tooltip: str) -> io.Float.Output:
    return io.Float.Output(name, display_name=name, tooltip=tooltip)
