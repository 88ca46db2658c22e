"""Measure how close two pictures are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io, ui

from . import host, shared
from .schema import FacesSocket, schema

if TYPE_CHECKING:
    from ..codeformer_core.faces import Faces


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


def _number(name: str, tooltip: str) -> io.Float.Output:
    return io.Float.Output(name, display_name=name, tooltip=tooltip)
