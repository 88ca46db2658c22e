"""The single steps: find faces, cut them out, restore them, put them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, previews, shared
from .boxes import box_data, known_box_inputs
from .schema import (
    BoundingBoxes,
    FacesSocket,
    adain_input,
    adain_setting,
    auto_fidelity_input,
    detection_inputs,
    detector_input,
    fidelity_input,
    image_input,
    model_input,
    parser_input,
    part_inputs,
    paste_inputs,
    per_face_input,
    reference_strength_input,
    references_input,
    schema,
    upscale_inputs,
    upscale_method_input,
)

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, FaceParser, Faces
    from ..codeformer_core.models.restorer import Restorer


class DetectFaces(io.ComfyNode):
    """Find faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures in; faces in several forms out."""
        return schema(
            node_id="CodeFormerDetectFaces",
            display_name="Detect Faces",
            description="Find the faces of a picture or a batch of frames, with the five points "
            "that align them. The node shows them numbered.",
            search_aliases=["face detection", "find faces", "face bbox", "retinaface"],
            is_output_node=True,
            inputs=[
                image_input("One picture or a batch of frames."),
                detector_input(),
                *detection_inputs(),
                io.Int.Input(
                    "search_size",
                    default=0,
                    min=0,
                    max=4096,
                    step=32,
                    optional=True,
                    tooltip="Pixels of the shorter side at which the picture is searched; 0 takes "
                    "the detector's own. More finds smaller faces and takes longer.",
                ),
                *known_box_inputs(),
            ],
            outputs=[
                FacesSocket.Output(
                    "faces", display_name="faces", tooltip="For Crop Faces and Paste Faces."
                ),
                io.Mask.Output(
                    "mask", display_name="mask", tooltip="The boxes of the faces, one mask a frame."
                ),
                BoundingBoxes.Output(
                    "boxes",
                    display_name="boxes",
                    tooltip="The boxes as data, a list for each frame, for other packs' nodes.",
                ),
                io.Int.Output(
                    "count", display_name="count", tooltip="Number of faces in all frames together."
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        detector: FaceDetector | None = None,
        confidence: float = 0.8,
        min_size: int = 16,
        search_size: int = 0,
        known_boxes: Any = None,
        segs: Any = None,
    ) -> io.NodeOutput:
        """Detect, and draw what was found."""
        from ..codeformer_core.faces.boxes import box_masks
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline.detection import find_faces

        frames = as_images(image)[..., :3]
        found = find_faces(
            frames,
            shared.detector_or_default(detector),
            boxes=known_boxes,
            segments=segs,
            confidence=confidence,
            min_size=min_size,
            search_size=search_size or None,
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            found.faces,
            host.to_output(box_masks(found.faces)),
            box_data(found.faces),
            found.faces.count,
            ui={"images": previews.drawn_frames(frames, found.faces)} | host.warn(found.warnings),
        )


class CropFaces(io.ComfyNode):
    """Cut faces out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures and faces in; a batch of upright squares out."""
        return schema(
            node_id="CodeFormerCropFaces",
            display_name="Crop Faces",
            description="Cut every face out as an upright, aligned square. The batch of squares is "
            "an ordinary IMAGE: anything may work on it before Paste Faces.",
            search_aliases=["align faces", "extract faces", "face crop"],
            inputs=[
                image_input("The pictures in which the faces were found, or a resized copy."),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="From Detect Faces. Without it the faces are searched here; to paste "
                    "the crops back later, detect them first.",
                ),
                io.Int.Input(
                    "size",
                    default=512,
                    min=32,
                    max=2048,
                    step=8,
                    optional=True,
                    tooltip="Side of the squares in pixels, unless a model is connected.",
                ),
                model_input("Gives the size: crops as the model wants them, resized only once."),
            ],
            outputs=[
                io.Image.Output(
                    "crops",
                    display_name="crops",
                    tooltip="All faces, frame by frame. No face gives one gray square, since "
                    "other nodes fail on an empty batch; Paste Faces then leaves the picture as "
                    "it is.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        faces: Faces | str | None = None,
        size: int = 512,
        model: Restorer | None = None,
    ) -> io.NodeOutput:
        """Crop; in the place of `faces` a replaced node may name a detector."""
        from ..codeformer_core.faces import crop_faces
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline.notes import large_face_notes, sides_of

        frames = as_images(image)[..., :3]
        if faces is None or isinstance(faces, str):
            detector = shared.detector_or_default(faces)
            faces = detector.detect(frames, runtime=host.HostRuntime())
        notes: tuple[str, ...] = ()
        if model is not None:
            size = model.size
            # Here, because in crops of the model's own size nobody sees how large the faces were.
            notes = large_face_notes(sides_of(frames, faces), size)
        crops = crop_faces(frames, faces, size)
        if len(frames) and not faces.count:
            crops, notes = _nobody(size)
        return io.NodeOutput(host.to_output(crops), ui=host.warn(notes))


class RestoreFaces(io.ComfyNode):
    """Restore crops."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Crops in, restored crops out."""
        return schema(
            node_id="CodeFormerRestoreFaces",
            display_name="Restore Faces",
            description="Restore aligned faces with CodeFormer.",
            search_aliases=["face restoration", "face restore", "codeformer", "fidelity per face"],
            inputs=[
                io.Image.Input(
                    "crops",
                    tooltip="Aligned faces from Crop Faces, or pictures that are aligned already; "
                    "resized to the model's size if they have another.",
                ),
                fidelity_input(),
                model_input("From Load CodeFormer. Without one: the built-in model."),
                adain_input(),
                per_face_input(),
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
        crops: torch.Tensor,
        fidelity: float,
        model: Restorer | None = None,
        adain: str = "automatic",
        per_face: str = "",
        auto_fidelity: bool = False,
        references: torch.Tensor | None = None,
        reference_strength: float = 1.0,
    ) -> io.NodeOutput:
        """Restore."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import try_restore_crops

        people = shared.known_people(references)
        network, unused = shared.knowing(model, people, reference_strength)
        result = try_restore_crops(
            network,
            as_images(crops)[..., :3],
            shared.fidelity_choice(auto_fidelity, fidelity, per_face, people),
            adain=adain_setting(adain),
            keep_gray=True,
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            host.to_output(result.crops), ui=host.warn((*unused, *result.warnings))
        )


class PasteFaces(io.ComfyNode):
    """Put faces back."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures, crops and faces in; pictures and mask out."""
        return schema(
            node_id="CodeFormerPasteFaces",
            display_name="Paste Faces",
            description="Put restored faces back where they were cut out. Pixels outside of the "
            "mask are not touched at all.",
            search_aliases=["paste back", "face composite", "uncrop faces"],
            inputs=[
                image_input("The pictures the faces come from, or a resized copy of them."),
                io.Image.Input(
                    "crops",
                    tooltip="As many squares as there are faces, in the order of Crop Faces.",
                ),
                FacesSocket.Input("faces", tooltip="The faces the crops were cut from."),
                parser_input(),
                *paste_inputs(),
                *upscale_inputs(),
                *part_inputs(),
                upscale_method_input(),
            ],
            outputs=[
                io.Image.Output(
                    "pasted", display_name="image", tooltip="The pictures with the faces in them."
                ),
                io.Mask.Output(
                    "mask",
                    display_name="mask",
                    tooltip="Where faces were pasted, one mask a frame.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        crops: torch.Tensor,
        faces: Faces,
        parser: FaceParser | None = None,
        upscale_by: float = 1.0,
        upscale_model: Any | None = None,
        upscale_faces: bool = False,
        upscale_method: str = "network",
        **blending: Any,
    ) -> io.NodeOutput:
        """Paste."""
        from ..codeformer_core.faces import PasteOptions
        from ..codeformer_core.images import as_images
        from ..codeformer_core.pipeline import paste_crops

        enlarge = shared.upscaler(upscale_model, upscale_method)
        result = paste_crops(
            as_images(image),
            as_images(crops)[..., :3],
            faces,
            PasteOptions(**blending),
            parser=parser,
            upscale=upscale_by,
            upscaler=enlarge,
            face_upscaler=enlarge if upscale_faces else None,
            runtime=host.HostRuntime(),
        )
        return io.NodeOutput(
            host.to_output(result.images),
            host.to_output(result.mask),
            ui=host.warn(result.warnings),
        )


def _nobody(side: int) -> tuple[torch.Tensor, tuple[str, ...]]:
    """What Crop Faces gives where there is no face, and a word about it.

    Most nodes of others, the previews first of all, fail on an empty batch.

    Args:
        side: of the square in pixels.
    """
    return torch.full((1, side, side, 3), 0.5), ("no face: the gray square stands for none",)
