"""The whole restoration as one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, previews, shared
from .schema import (
    BatchManager,
    FacesSocket,
    adain_input,
    adain_setting,
    advanced,
    auto_fidelity_input,
    detection_inputs,
    detector_input,
    fidelity_input,
    image_input,
    leave_clean_input,
    model_input,
    parser_input,
    part_inputs,
    paste_inputs,
    picking_inputs,
    reference_strength_input,
    references_input,
    schema,
    upscale_inputs,
    upscale_method_input,
)

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, FaceParser, Faces
    from ..codeformer_core.models.restorer import Restorer
    from ..codeformer_core.video.frames import SteadyFrames


class RestoreImage(io.ComfyNode):
    """Detect, crop, restore and paste in one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures and a fidelity are enough."""
        upscale_by, upscale_model, upscale_faces = upscale_inputs()
        return schema(
            node_id="CodeFormerRestoreImage",
            display_name="CodeFormer Restore",
            description="Restore the faces of a picture or a batch of frames: old photos, "
            "enlargements, and what an image generator left unfinished. Only the picture is "
            "needed; the built-in model and detector work without any download.",
            search_aliases=["face restore", "codeformer", "fix faces", "old photo", "gfpgan"],
            essentials_category="Image Tools",
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
                upscale_model,
                *advanced(
                    *detection_inputs(),
                    *paste_inputs(),
                    adain_input(),
                    upscale_faces,
                    *part_inputs(),
                    *picking_inputs(),
                    # Last: saved workflows list the values in order.
                    leave_clean_input(),
                ),
                auto_fidelity_input(),
                references_input(),
                *advanced(
                    io.Boolean.Input(
                        "video_frames",
                        default=False,
                        optional=True,
                        tooltip="The pictures are frames of a video, in order: faces are followed "
                        "and restored steadily. More to set: Track Faces, Smooth Faces and "
                        "CodeFormer Restore Video.",
                    ),
                    upscale_method_input(),
                ),
                *advanced(reference_strength_input()),
                BatchManager.Input(
                    "meta_batch",
                    optional=True,
                    tooltip="From VideoHelperSuite's Meta Batch Manager: with video frames on, "
                    "each window goes on where the last one ended.",
                ),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
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
        model: Restorer | None = None,
        detector: FaceDetector | None = None,
        parser: FaceParser | None = None,
        faces: Faces | None = None,
        upscale_by: float = 1.0,
        upscale_model: Any | None = None,
        upscale_faces: bool = False,
        confidence: float = 0.8,
        min_size: int = 16,
        adain: str = "automatic",
        leave_clean: bool = True,
        picked: str = "",
        per_face: str = "",
        auto_fidelity: bool = False,
        references: torch.Tensor | None = None,
        video_frames: bool = False,
        meta_batch: Any | None = None,
        upscale_method: str = "network",
        reference_strength: float = 1.0,
        **blending: Any,
    ) -> io.NodeOutput:
        """Restore."""
        from ..codeformer_core.faces import PasteOptions
        from ..codeformer_core.faces.selection import parse_numbers
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import restore_image

        image, enlarge = as_images(image), shared.upscaler(upscale_model, upscale_method)
        steady = cls._steady(meta_batch) if video_frames else None
        people = shared.known_people(references)
        network, unused = shared.knowing(model, people, reference_strength)
        result = restore_image(
            image,
            network,
            shared.detector_or_default(detector) if faces is None else None,
            fidelity=shared.fidelity_choice(auto_fidelity, fidelity, per_face, people),
            faces=faces,
            picked=parse_numbers(picked),
            parser=parser,
            paste=PasteOptions(**blending),
            confidence=confidence,
            min_size=min_size,
            upscale=upscale_by,
            upscaler=enlarge,
            face_upscaler=enlarge if upscale_faces else None,
            adain=adain_setting(adain),
            leave_clean=leave_clean,
            steady=steady,
            runtime=host.HostRuntime(previews=False),
        )
        if steady is not None and meta_batch is not None:
            host.leave(meta_batch, cls.hidden.unique_id, steady.past)
        shown = previews.shown_frames(result.image, result.faces, set(result.picked), before=image)
        return io.NodeOutput(
            host.to_output(result.image),
            host.to_output(result.mask),
            result.faces.take(result.picked),
            ui={previews.SHOWN: shown} | host.warn((*unused, *result.warnings)),
        )

    @classmethod
    def _steady(cls, manager: Any | None) -> SteadyFrames:
        from ..codeformer_core.video.frames import SteadyFrames

        past = None
        if manager is not None:
            past = host.recall(manager, cls.hidden.unique_id, cls.hidden.prompt)
        return SteadyFrames(identity=shared.identity_network(), past=past)
