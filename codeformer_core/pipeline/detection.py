"""Find faces anywhere in pictures, or inside boxes that something else found."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..faces import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector, Faces
from ..faces.boxes import DEFAULT_BOX_CONFIDENCE, faces_in_boxes, read_boxes, read_segments
from ..runtime import Runtime


@dataclass(frozen=True)
class FoundFaces:
    """What a search found."""

    faces: Faces
    """The faces."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""


def find_faces(
    frames: Tensor,
    detector: FaceDetector,
    *,
    boxes: Any = None,
    segments: Any = None,
    confidence: float = DEFAULT_CONFIDENCE,
    min_size: float = DEFAULT_MIN_SIZE,
    search_size: int | None = None,
    runtime: Runtime | None = None,
) -> FoundFaces:
    """Find the faces of every frame.

    Args:
        frames: (B, H, W, 3) float, RGB, 0..1.
        detector: finds them.
        boxes: boxes in a form of `read_boxes`; then only inside these a face is searched, and
            `confidence` counts as `DEFAULT_BOX_CONFIDENCE` if it is higher.
        segments: more of them in the form of `read_segments`.
        confidence: faces scored lower are left out, 0 to 1.
        min_size: smaller faces, in pixels, are left out.
        search_size: as of `FaceDetector.detect`, where whole frames are searched.
        runtime: where the detector runs and progress goes.

    Raises:
        OutOfMemoryError: there is no room even for one frame.
        PictureError: not a batch of RGB pictures.
        SettingError: a setting is out of range, or the boxes cannot be read.
    """
    if boxes is None and segments is None:
        return FoundFaces(
            detector.detect(
                frames,
                confidence=confidence,
                min_size=min_size,
                search_size=search_size,
                runtime=runtime,
            )
        )
    count, height, width = (int(size) for size in frames.shape[:3])
    given = read_boxes([] if boxes is None else boxes, count)
    if segments is not None:
        more = read_segments(segments, count, height, width)
        given = [[*one, *other] for one, other in zip(given, more, strict=True)]
    confidence = min(confidence, DEFAULT_BOX_CONFIDENCE)
    faces, missing = faces_in_boxes(
        frames, given, detector, confidence=confidence, min_size=min_size, runtime=runtime
    )
    notes = (f"no face was found in {missing} of the given boxes",) if missing else ()
    return FoundFaces(faces, notes)
