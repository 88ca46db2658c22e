"""Fill hidden parts of faces, and give gray faces colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import choices, host, shared
from .schema import (
    FacesSocket,
    adain_input,
    adain_setting,
    fidelity_input,
    model_input,
    parser_input,
    part_inputs,
    paste_inputs,
    schema,
)

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceParser, Faces
    from ..codeformer_core.models.restorer import Restorer


class InpaintFaces(io.ComfyNode):
    """Inpaint faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures or crops and a mask in, filled ones out."""
        return schema(
            node_id="CodeFormerInpaintFaces",
            display_name="Inpaint Faces",
            description="Fill the masked parts of faces. Pixels outside of the mask come back "
            "exactly as they were.",
            search_aliases=["face inpainting", "fill face", "remove occlusion"],
            inputs=[
                _pictures(),
                io.Mask.Input(
                    "mask",
                    tooltip="White where to fill, one for all or one for each picture; any size.",
                ),
                fidelity_input(default=1.0),
                model_input(
                    "An inpainting model. Without one: the built-in, which begins with an average "
                    "face in the hole, as every model does that was not trained to fill."
                ),
                _faces(),
                adain_input(),
            ],
            outputs=[
                io.Image.Output("filled", display_name="image", tooltip="The filled pictures."),
                io.Mask.Output("filled_mask", display_name="mask", tooltip="What was filled."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        mask: torch.Tensor,
        fidelity: float,
        model: Restorer | None = None,
        faces: Faces | None = None,
        adain: str = "automatic",
    ) -> io.NodeOutput:
        """Inpaint."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import inpaint

        result = inpaint(
            shared.restorer_or_default(model),
            as_images(image),
            mask,
            fidelity,
            faces=faces,
            adain=adain_setting(adain),
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            host.to_output(result.images),
            host.to_output(result.mask),
            ui=host.warn(result.warnings),
        )


class ColorizeFaces(io.ComfyNode):
    """Colorize faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures or crops in, coloured ones out."""
        return schema(
            node_id="CodeFormerColorizeFaces",
            display_name="Colorize Faces",
            description="Give the faces of gray or faded pictures natural colours.",
            search_aliases=["colourise", "colorization", "old photo", "black and white"],
            inputs=[
                _pictures(),
                fidelity_input(default=0.0),
                io.Boolean.Input(
                    "keep_light",
                    default=False,
                    optional=True,
                    tooltip="Take only the colours from the model and every detail from the "
                    "picture.",
                ),
                model_input("A colorization model. Without one: the built-in one."),
                _faces(),
                parser_input(),
                adain_input(),
                *paste_inputs(colour_match=False),
                *part_inputs(),
            ],
            outputs=[
                io.Image.Output(
                    "colorized",
                    display_name="image",
                    tooltip="The pictures with coloured faces, or the crops at the model's size.",
                ),
                io.Mask.Output("mask", display_name="mask", tooltip="Where faces were coloured."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        fidelity: float,
        keep_light: bool = False,
        model: Restorer | None = None,
        faces: Faces | None = None,
        parser: FaceParser | None = None,
        adain: str = "automatic",
        **blending: Any,
    ) -> io.NodeOutput:
        """Colorize."""
        from ..codeformer_core.faces import PasteOptions
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import colorize

        result = colorize(
            shared.restorer_or_default(model, choices.BUILT_IN_COLORIZATION),
            as_images(image),
            fidelity,
            faces=faces,
            keep_light=keep_light,
            parser=parser,
            paste=PasteOptions(**blending),
            adain=adain_setting(adain),
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            host.to_output(result.images),
            host.to_output(result.mask),
            ui=host.warn(result.warnings),
        )


def _pictures() -> Any:
    return io.Image.Input(
        "image", tooltip="Whole pictures with their faces connected, or aligned crops without."
    )


def _faces() -> Any:
    return FacesSocket.Input(
        "faces",
        optional=True,
        tooltip="The faces of whole pictures. Without it the pictures are aligned faces.",
    )
