"""Fill hidden parts of faces, and give gray faces colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, hosted, models
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
    from ..codeformer_core.faces import Faces


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
                model_input("An inpainting model. Without one: the built-in model."),
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
        model: hosted.HostedCodeFormer | None = None,
        faces: Faces | None = None,
        adain: str = "automatic",
    ) -> io.NodeOutput:
        """Inpaint."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline.variants import (
            fitting_masks,
            inpaint_crops,
            inpaint_pictures,
        )

        image = as_images(image)
        colours, opacity = image[..., :3], image[..., 3:]
        network, settings = _prepared(model, "inpainting", adain)
        host.say_large(image, faces, network.size)
        if faces is None:
            result = inpaint_crops(network, colours, mask, fidelity, **settings)
            filled, reached = result.crops, fitting_masks(mask, image).clone()
            reached[list(result.broken)] = 0
        else:
            result = inpaint_pictures(network, colours, faces, mask, fidelity, **settings)
            filled, reached = result.images, result.mask
        host.say_broken(result.broken)
        filled = torch.cat([filled, opacity], dim=-1)
        return io.NodeOutput(host.to_output(filled), host.to_output(reached))


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
                model_input("A colorization model. Without one: the built-in model."),
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
        model: hosted.HostedCodeFormer | None = None,
        faces: Faces | None = None,
        parser: hosted.HostedParser | None = None,
        adain: str = "automatic",
        **blending: Any,
    ) -> io.NodeOutput:
        """Colorize."""
        from ..codeformer_core.faces import PasteOptions, crop_faces, paste_faces
        from ..codeformer_core.images import as_images, resize
        from ..codeformer_core.pipeline.variants import colorize_crops

        image = as_images(image)
        network, settings = _prepared(model, "colorization", adain)
        host.say_large(image, faces, network.size)
        colours, opacity = image[..., :3], image[..., 3:]
        crops = colours if faces is None else crop_faces(colours, faces, network.size)
        result = colorize_crops(network, crops, fidelity, keep_light=keep_light, **settings)
        host.say_broken(result.broken)
        if faces is None:
            whole = torch.ones(result.crops.shape[:3])
            whole[list(result.broken)] = 0
            opacity = resize(image.float(), network.size, network.size)[..., 3:]
            coloured = torch.cat([result.crops, opacity], dim=-1)
            return io.NodeOutput(host.to_output(coloured), host.to_output(whole))
        good = [index for index in range(faces.count) if index not in result.broken]
        sound, faces = result.crops[good], faces.take(good)
        options = PasteOptions(**blending)
        masks = None if parser is None else parser.masks(sound, **options.parts)
        pasted, mask = paste_faces(colours, sound, faces, options, masks)
        pasted = torch.cat([pasted, opacity], dim=-1)
        return io.NodeOutput(host.to_output(pasted), host.to_output(mask))


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


def _prepared(
    model: hosted.HostedCodeFormer | None, variant: str, adain: str
) -> tuple[hosted.Watched, dict[str, Any]]:
    """The network with its settings; a word if it was trained for something else."""
    model = models.codeformer_or_default(model)
    if model.config.variant != variant:
        host.say(
            f"{model.name} was trained for {model.config.variant}, not for {variant}: "
            f"load codeformer_{variant}.pth for good results",
            warning=True,
        )
    progress = host.Progress()
    settings = {
        "adain": adain_setting(adain),
        "chunk": model.chunk(),
        "on_progress": progress,
    }
    return hosted.Watched(model, progress), settings
