"""Encode once, decode as often as wanted; look at the codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from . import host, previews, shared
from .schema import (
    FaceCodesSocket,
    adain_input,
    adain_setting,
    auto_fidelity_input,
    fidelity_input,
    model_input,
    per_face_input,
    reference_strength_input,
    references_input,
    schema,
)

if TYPE_CHECKING:
    from ..codeformer_core.models.restorer import Restorer
    from ..codeformer_core.pipeline.codes import CodeSource, EncodedCrops


class EncodeFaces(io.ComfyNode):
    """Encode crops."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Crops in, codes out."""
        return schema(
            node_id="CodeFormerEncodeFaces",
            display_name="Encode Faces",
            description="Run CodeFormer's encoder and transformer once. Decode Faces then makes "
            "faces of any fidelity from the codes, without running them again.",
            search_aliases=["face codes", "codeformer encode"],
            inputs=[
                io.Image.Input("crops", tooltip="Aligned faces from Crop Faces."),
                model_input("From Load CodeFormer. Without one: the built-in model."),
            ],
            outputs=[codes_output("For Decode Faces, Fidelity Sweep and Codes to Image.")],
        )

    @classmethod
    def execute(cls, crops: torch.Tensor, model: Restorer | None = None) -> io.NodeOutput:
        """Encode."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import encode_crops

        encoded = encode_crops(
            shared.restorer_or_default(model),
            as_images(crops)[..., :3],
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(encoded, ui=host.warn(encoded.warnings))


class DecodeFaces(io.ComfyNode):
    """Decode codes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Codes and fidelity in, faces out."""
        return schema(
            node_id="CodeFormerDecodeFaces",
            display_name="Decode Faces",
            description="Make restored faces from codes. A new fidelity runs only this half of "
            "the network.",
            search_aliases=["codeformer decode", "fidelity per face"],
            inputs=[
                codes_input(),
                fidelity_input(),
                per_face_input(),
                adain_input(),
                auto_fidelity_input(),
                references_input(),
                reference_strength_input(),
            ],
            outputs=[
                io.Image.Output(
                    "restored",
                    display_name="restored",
                    tooltip="The restored faces in the same order, at the model's size.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        codes: EncodedCrops,
        fidelity: float | Sequence[float],
        per_face: str = "",
        adain: str = "automatic",
        auto_fidelity: bool = False,
        references: torch.Tensor | None = None,
        reference_strength: float = 1.0,
    ) -> io.NodeOutput:
        """Decode."""
        from ..codeformer_core.pipeline.codes import decode_crops

        people = shared.known_people(references)
        network, unused = shared.knowing(codes.network, people, reference_strength)
        result = decode_crops(
            replace(codes, network=network),
            shared.fidelity_choice(auto_fidelity, fidelity, per_face, people),
            adain=adain_setting(adain),
            keep_gray=True,
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            host.to_output(result.crops), ui=host.warn((*unused, *result.warnings))
        )


class FidelitySweep(io.ComfyNode):
    """All fidelities side by side."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Codes in, a grid out."""
        return schema(
            node_id="CodeFormerFidelitySweep",
            display_name="Fidelity Sweep",
            description="Decode every face at several fidelities and show them side by side, all "
            "from one encoding.",
            search_aliases=["codeformer grid", "xy plot", "compare fidelity"],
            is_output_node=True,
            inputs=[
                codes_input(),
                io.String.Input(
                    "fidelities",
                    default="0, 0.25, 0.5, 0.75, 1",
                    tooltip="The fidelities to try, from 0 (quality) to 1 (identity).",
                ),
                io.Int.Input(
                    "width",
                    default=256,
                    min=32,
                    max=1024,
                    step=8,
                    optional=True,
                    tooltip="Width of every picture of the grid in pixels.",
                ),
                adain_input(),
            ],
            outputs=[
                io.Image.Output(
                    "grid",
                    display_name="grid",
                    tooltip="A row for each face: the input, then every fidelity with its label.",
                ),
                io.Image.Output(
                    "restored",
                    display_name="restored",
                    tooltip="The faces at the model's size: all fidelities of the first face, then "
                    "those of the next.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, codes: EncodedCrops, fidelities: str, width: int = 256, adain: str = "automatic"
    ) -> io.NodeOutput:
        """Decode at each fidelity."""
        from ..codeformer_core.pipeline.codes import parse_fidelities
        from ..codeformer_core.pipeline.sweep import sweep_fidelity

        steps = parse_fidelities(fidelities)
        sweep = sweep_fidelity(
            codes,
            steps,
            adain=adain_setting(adain),
            panel=width,
            runtime=host.HostRuntime(previews=False),
        )
        shown = previews.shown_steps(sweep.faces, steps)
        return io.NodeOutput(
            host.to_output(sweep.grid[None]),
            host.to_output(sweep.faces),
            ui={previews.STEPS: shown} | host.warn(sweep.warnings),
        )


class CodesToImage(io.ComfyNode):
    """Show codes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Codes in, code maps out."""
        return schema(
            node_id="CodeFormerCodesToImage",
            display_name="Codes to Image",
            description="Show the codes of each face as a map of colours (like codes, like "
            "colours), and choose how they are found: by the transformer, or as the nearest ones, "
            "which shows what the transformer is good for.",
            search_aliases=["codebook", "code map", "nearest neighbour codes"],
            inputs=[
                codes_input(),
                io.Combo.Input(
                    "source",
                    options=["transformer", "nearest"],
                    default="transformer",
                    tooltip="transformer: the likeliest codes by CodeFormer's prediction, of which "
                    "the built-in model draws a mean; nearest: those closest to the encoder's "
                    "output, as an ordinary VQGAN takes them.",
                ),
                io.Int.Input(
                    "size",
                    default=512,
                    min=16,
                    max=2048,
                    step=16,
                    optional=True,
                    tooltip="Side of the map in pixels.",
                ),
            ],
            outputs=[
                io.Image.Output("map", display_name="map", tooltip="One code map a face."),
                codes_output("The codes of the chosen source: Decode Faces shows their faces."),
            ],
        )

    @classmethod
    def execute(cls, codes: EncodedCrops, source: CodeSource, size: int = 512) -> io.NodeOutput:
        """Choose and draw."""
        from ..codeformer_core.pipeline.codes import choose_codes, draw_codes

        chosen = choose_codes(codes, source)
        return io.NodeOutput(host.to_output(draw_codes(chosen, size)), chosen)


def codes_input() -> io.Input:
    """Encoded faces."""
    return FaceCodesSocket.Input("codes", tooltip="From Encode Faces.")


def codes_output(tooltip: str) -> io.Output:
    """Encoded faces."""
    return FaceCodesSocket.Output("face_codes", display_name="codes", tooltip=tooltip)
