"""Videos: restored whole, or steadied between the single steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, previews, shared
from .schema import (
    FacesSocket,
    advanced,
    auto_fidelity_input,
    detection_inputs,
    detector_input,
    fidelity_input,
    image_input,
    model_input,
    parser_input,
    part_inputs,
    paste_inputs,
    reference_strength_input,
    references_input,
    schema,
    stability_input,
    upscale_inputs,
    upscale_method_input,
)

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, FaceParser, Faces
    from ..codeformer_core.models.restorer import Restorer
    from ..codeformer_core.video.restore import RestoredVideo, VideoSettings


class RestoreVideo(io.ComfyNode):
    """Restore a video from its file to a file."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """A video and a fidelity are enough."""
        upscale_by, upscale_model, upscale_faces = upscale_inputs()
        return schema(
            node_id="CodeFormerRestoreVideo",
            display_name="CodeFormer Restore Video",
            description="Restore the faces of a video, steadily from frame to frame. Sound, "
            "subtitles and times stay as they are, and a long video takes no more memory than a "
            "short one.",
            search_aliases=["face restore video", "codeformer video", "video faces"],
            essentials_category="Video Tools",
            inputs=[
                io.Video.Input("video", tooltip="From Load Video or Create Video."),
                fidelity_input(),
                stability_input(),
                model_input("From Load CodeFormer. Without one: the built-in model."),
                detector_input(),
                parser_input(),
                io.String.Input(
                    "people",
                    default="",
                    optional=True,
                    tooltip="Numbers of the people to restore, for example 1, 3, as the picture of "
                    "a run shows them; 1 is who is seen longest. Empty: everybody.",
                ),
                io.Int.Input(
                    "quality",
                    default=16,
                    min=0,
                    max=51,
                    optional=True,
                    tooltip="Of the result's file, counted as H.264 does: 0 loses nothing, 16 "
                    "nothing that is seen, 51 is the smallest.",
                ),
                *advanced(*detection_inputs(), *paste_inputs(colour_match=False), *part_inputs()),
                auto_fidelity_input(
                    "Try several fidelities and take the one that suits each person, the same for "
                    "the whole video: as much as keeps the person, no more than the damage allows. "
                    "The report says which. The slider is then without effect."
                ),
                references_input(),
                # Last: saved workflows list the values in order.
                upscale_by,
                upscale_model,
                *advanced(upscale_faces, upscale_method_input(), reference_strength_input()),
            ],
            outputs=[
                io.Video.Output(
                    "restored",
                    display_name="video",
                    tooltip="A finished file: Save Video copies it and encodes nothing again.",
                ),
                io.String.Output(
                    "report",
                    display_name="report",
                    tooltip="What was done, and what there is to know about it.",
                ),
                io.Image.Output(
                    "faces_of_people",
                    display_name="people",
                    tooltip="One numbered face of everybody who was seen; one gray square if "
                    "nobody was.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        fidelity: float,
        stability: float = 0.5,
        model: Restorer | None = None,
        detector: FaceDetector | None = None,
        parser: FaceParser | None = None,
        people: str = "",
        quality: int = 16,
        confidence: float = 0.8,
        min_size: int = 16,
        auto_fidelity: bool = False,
        references: torch.Tensor | None = None,
        upscale_by: float = 1.0,
        upscale_model: Any | None = None,
        upscale_faces: bool = False,
        upscale_method: str = "network",
        reference_strength: float = 1.0,
        **blending: Any,
    ) -> io.NodeOutput:
        """Restore."""
        from ..codeformer_core.faces import PasteOptions
        from ..codeformer_core.faces.selection import parse_numbers
        from ..codeformer_core.video.engine import FaceSettings
        from ..codeformer_core.video.restore import VideoSettings
        from ..codeformer_core.video.steady import Steadiness

        known = shared.known_people(references)
        choice = shared.automatic_fidelity(known) if auto_fidelity else fidelity
        settings = VideoSettings(
            FaceSettings(choice, Steadiness.of(stability), PasteOptions(**blending)),
            tuple(parse_numbers(people)),
            confidence,
            min_size,
            upscale=upscale_by,
            quality=quality,
        )
        enlarges = upscale_by > 1 or upscale_faces
        enlarge = shared.upscaler(upscale_model, upscale_method) if enlarges else None
        restorer, unused = shared.knowing(model, known, reference_strength)
        networks = (restorer, shared.detector_or_default(detector))
        result, portraits = _restored(
            video,
            networks,
            settings,
            parser=parser,
            upscaler=enlarge,
            face_upscaler=enlarge if upscale_faces else None,
        )
        return io.NodeOutput(
            host.as_video(result.path),
            _report(result, unused),
            host.to_output(portraits if len(portraits) else torch.full((1, 256, 256, 3), 0.5)),
            ui={"images": previews.saved_frames(portraits)} | host.warn((*unused, *result.notes)),
        )


class TrackFaces(io.ComfyNode):
    """Follow faces from frame to frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Frames and faces in, the same faces by person out."""
        return schema(
            node_id="CodeFormerTrackFaces",
            display_name="Track Faces",
            description="Follow every face of a batch of frames and number it by the person it "
            "shows. Frames in which a face was missed for a moment get it back; findings of a "
            "moment are dropped.",
            search_aliases=["face tracking", "follow faces", "video faces"],
            inputs=[
                image_input("The frames in which the faces were found, all of a clip."),
                FacesSocket.Input("faces", tooltip="From Detect Faces."),
                fps_input(),
            ],
            outputs=[
                FacesSocket.Output(
                    "tracked",
                    display_name="faces",
                    tooltip="The faces with their person's number, for Smooth Faces or Crop Faces.",
                ),
                io.Int.Output("people", display_name="people", tooltip="How many were seen."),
            ],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, faces: Faces, fps: float) -> io.NodeOutput:
        """Track."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.video.batches import track_batch

        identity, runtime = shared.identity_network(), host.HostRuntime()
        frames = as_images(image)[..., :3]
        tracked = track_batch(faces, fps, frames, identity=identity, runtime=runtime)
        people = max((face.track or 0 for face in tracked), default=0)
        drawn = previews.drawn_frames(frames, tracked, by_track=True)
        return io.NodeOutput(tracked, people, ui={"images": drawn})


class SmoothFaces(io.ComfyNode):
    """Steady the places of faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Faces in, the same faces in steady places out."""
        return schema(
            node_id="CodeFormerSmoothFaces",
            display_name="Smooth Faces",
            description="Steady where the faces of a batch of frames are cut out and pasted: a nod "
            "is followed, the detector's trembling is not. So whatever works on the crops, of any "
            "pack, gets steady ones.",
            search_aliases=["stabilize faces", "steady crops", "smooth landmarks"],
            inputs=[
                FacesSocket.Input(
                    "faces", tooltip="From Track Faces; faces without numbers are tracked here."
                ),
                fps_input(),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.01,
                    display_mode=io.NumberDisplay.slider,
                    tooltip="0 leaves every place as it was found, 1 is the steadiest.",
                ),
            ],
            outputs=[
                FacesSocket.Output(
                    "steady",
                    display_name="faces",
                    tooltip="For Crop Faces and Paste Faces: give both the same.",
                )
            ],
        )

    @classmethod
    def execute(cls, faces: Faces, fps: float, strength: float) -> io.NodeOutput:
        """Smooth."""
        from ..codeformer_core.video.batches import smooth_batch

        return io.NodeOutput(smooth_batch(faces, fps, strength))


def fps_input() -> io.Float.Input:
    """How fast the frames of a batch follow each other."""
    return io.Float.Input(
        "fps",
        default=24.0,
        min=1.0,
        max=1000.0,
        step=0.01,
        round=0.001,
        tooltip="Frames a second, for example from Get Video Components.",
    )


def _restored(
    video: Any,
    networks: tuple[Restorer, FaceDetector],
    settings: VideoSettings,
    **helpers: Any,
) -> tuple[RestoredVideo, torch.Tensor]:
    """Restore among the host's temporary files; what Cancel leaves is taken away."""
    import dataclasses

    from ..codeformer_core.video.names import CONTAINERS, FALLBACK_SUFFIX
    from ..codeformer_core.video.portraits import portraits
    from ..codeformer_core.video.reading import inspect_video
    from ..codeformer_core.video.restore import restore_video

    runtime = host.HostRuntime(panel=True)
    with host.working_folder() as folder:
        source = host.file_of(video, folder)
        suffix = source.suffix.lower()
        suffix = suffix if suffix in CONTAINERS else FALLBACK_SUFFIX
        result = restore_video(
            source,
            folder / f"restored{suffix}",
            *networks,
            settings,
            **helpers,
            identity=shared.identity_network(),
            runtime=runtime,
        )
        faces = portraits(inspect_video(source), result.survey)
        path, _ = host.preview_file(suffix)
        return dataclasses.replace(result, path=result.path.replace(path)), faces


def _report(result: RestoredVideo, unused: Sequence[str]) -> str:
    counts = (
        f"{result.frames} frames, {result.people} people, {result.tracks} tracks, "
        f"{result.restored} faces restored"
    )
    return "\n".join([counts, *unused, *result.notes])
