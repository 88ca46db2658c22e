"""The whole restoration as one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from comfy_api.latest import io

from . import host, hosted, models, picking, previews
from .schema import (
    FacesSocket,
    adain_input,
    adain_setting,
    detection_inputs,
    detector_input,
    fidelity_input,
    image_input,
    model_input,
    parser_input,
    part_inputs,
    paste_inputs,
    schema,
    upscale_inputs,
)
from .upscale import upscaler

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceParser, Faces
    from ..codeformer_core.pipeline.restore import RestoredImage


class RestoreImage(io.ComfyNode):
    """Detect, crop, restore and paste in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures and a fidelity are enough."""
        upscale_by, *upscaling = upscale_inputs()
        return schema(
            node_id="CodeFormerRestoreImage",
            display_name="CodeFormer Restore",
            description="Restore the faces of a picture or a batch of frames: old photos, "
            "enlargements, and what an image generator left unfinished. Only the picture is "
            "needed; the built-in model and detector work without any download.",
            search_aliases=["face restore", "codeformer", "fix faces", "old photo", "gfpgan"],
            is_output_node=True,
            inputs=[
                image_input("One picture or a batch of frames, for example from VAE Decode."),
                fidelity_input(),
                model_input("From Load CodeFormer. Without one: the built-in model."),
                detector_input(),
                parser_input(),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="Faces that were found already; then nothing is detected.",
                ),
                upscale_by,
                *detection_inputs(),
                *paste_inputs(),
                adain_input(),
                *upscaling,
                *part_inputs(),
                *picking.picking_inputs(),
            ],
            outputs=[
                io.Image.Output("restored", display_name="image", tooltip="The restored pictures."),
                io.Mask.Output(
                    "mask",
                    display_name="mask",
                    tooltip="Where faces were pasted, one mask a frame.",
                ),
                FacesSocket.Output(
                    "found_faces", display_name="faces", tooltip="The faces that were restored."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        fidelity: float,
        model: hosted.HostedCodeFormer | None = None,
        detector: hosted.HostedDetector | None = None,
        parser: hosted.HostedParser | None = None,
        faces: Faces | None = None,
        upscale_by: float = 1.0,
        upscale_model: Any | None = None,
        upscale_faces: bool = False,
        confidence: float = 0.8,
        min_size: int = 16,
        adain: str = "automatic",
        picked: str = "",
        per_face: str = "",
        **blending: Any,
    ) -> io.NodeOutput:
        """Restore."""
        from ..codeformer_core.faces import PasteOptions
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import restore_image
        from ..codeformer_core.runtime import Runtime

        image = as_images(image)
        model = models.codeformer_or_default(model)
        if faces is None:
            detector = models.detector_or_default(detector)
        progress = host.Progress()
        enlarge = upscaler(upscale_model, progress)
        found, values, places = faces, fidelity, None
        if picked.strip() or per_face.strip():
            if found is None:
                found = models.detector_or_default(detector).detect(
                    image[..., :3],
                    confidence=confidence,
                    min_size=min_size,
                    runtime=Runtime(progress),
                )
            choice = picking.pick(found, picked, per_face, fidelity)
            places, values = choice.places, choice.fidelity
            faces = found.take(places)
        result = restore_image(
            image,
            hosted.Watched(model, progress),
            detector,
            fidelity=values,
            faces=faces,
            # Called the same way.
            parser=cast("FaceParser | None", parser),
            paste=PasteOptions(**blending),
            confidence=confidence,
            min_size=min_size,
            upscale=upscale_by,
            upscaler=enlarge,
            face_upscaler=enlarge if upscale_faces else None,
            adain=adain_setting(adain),
            chunk=model.chunk(),
            on_progress=progress,
        )
        for warning in result.warnings:
            host.say(warning, warning=True)
        return io.NodeOutput(
            host.to_output(result.image),
            host.to_output(result.mask),
            result.faces,
            ui=_shown(image, result, found, places),
        )


def _shown(
    image: torch.Tensor, result: RestoredImage, found: Faces | None, places: set[int] | None
) -> dict[str, Any]:
    """Before and after for the browser, with every face that was found."""
    faces = result.faces if found is None else found
    return {previews.SHOWN: previews.shown_frames(result.image, faces, places, before=image)}
