"""Who is who: faces of people known from reference photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from comfy_api.latest import io

from . import host, previews, shared
from .schema import FacesSocket, detector_input, image_input, schema

if TYPE_CHECKING:
    from ..codeformer_core.faces import FaceDetector, Faces
    from ..codeformer_core.people import Match


class MatchPeople(io.ComfyNode):
    """Find the faces of known people."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures and reference photos in; whose face is which out."""
        return schema(
            node_id="CodeFormerMatchPeople",
            display_name="Match People",
            description="Find the faces of one or several people, known from clean photos of them, "
            "and say how sure that is. Only they then go to Crop Faces or CodeFormer Restore.",
            search_aliases=["face recognition", "same person", "identity", "only this person"],
            is_output_node=True,
            inputs=[
                image_input("One picture or a batch of frames, such as a group photo."),
                io.Image.Input(
                    "references",
                    tooltip="Clean photos of the people, one to five of each; of every photo its "
                    "largest face counts. Photos of one person are put together by themselves.",
                ),
                FacesSocket.Input(
                    "faces",
                    optional=True,
                    tooltip="From Detect Faces. Without it the faces are searched here.",
                ),
                detector_input(),
                io.Int.Input(
                    "person",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    tooltip="Which of the people to take, in the order of their first photos: 1 is "
                    "who is in the first. 0 takes them all.",
                ),
                io.Float.Input(
                    "sureness",
                    default=0.8,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    round=0.01,
                    optional=True,
                    tooltip="How sure it must be. Less finds more of a person's bad pictures, and "
                    "more faces of others.",
                ),
            ],
            outputs=[
                FacesSocket.Output(
                    "matching", display_name="faces", tooltip="The faces of these people."
                ),
                FacesSocket.Output(
                    "others", display_name="others", tooltip="Everybody else's faces."
                ),
                io.String.Output(
                    "numbers",
                    display_name="numbers",
                    tooltip="Their numbers, for Select Faces with the rule 'numbers'.",
                ),
                io.String.Output(
                    "text",
                    display_name="text",
                    tooltip="For every face whom it is most like, at what distance, and how sure "
                    "that is.",
                ),
                io.Int.Output("count", display_name="count", tooltip="How many match."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        references: torch.Tensor,
        faces: Faces | None = None,
        detector: FaceDetector | None = None,
        person: int = 0,
        sureness: float = 0.8,
    ) -> io.NodeOutput:
        """Match."""
        from ..codeformer_core.images import as_images
        from ..codeformer_core.people import known_people, match_faces, places_of

        frames, detector = as_images(image)[..., :3], shared.detector_or_default(detector)
        identity, runtime = shared.identity_network(), host.HostRuntime()
        people = known_people([references], detector, identity, runtime=runtime.share(0, 0.4))
        if faces is None:
            faces = detector.detect(frames, runtime=runtime.share(0.4, 0.8))
        matches = match_faces(frames, faces, people, identity, runtime=runtime.share(0.8, 1))
        places = places_of(matches, person, sureness)
        text = _told(matches, len(people))
        return io.NodeOutput(
            faces.take(places),
            faces.without(places),
            ", ".join(str(place + 1) for place in sorted(places)),
            text,
            len(places),
            ui={"images": previews.drawn_frames(frames, faces), "text": (text,)},
        )


def _told(matches: tuple[Match, ...], people: int) -> str:
    """A line a face."""
    known = "1 person is known" if people == 1 else f"{people} people are known"
    lines: list[Any] = [
        f"face {number}: person {match.person}, distance {match.distance:.2f}, "
        f"{100 * match.sureness:.0f}% sure"
        for number, match in enumerate(matches, 1)
    ]
    return "\n".join([known, *(lines or ["no face was found in the picture"])])
