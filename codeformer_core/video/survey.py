"""The first pass over a video: when its frames are shown, where shots end, who is in them.

Frames are looked at small, a few at a time, and only numbers are kept of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..faces import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, Face, FaceDetector, crop_face
from ..faces.colour import colour_variance
from ..metrics.identity import IdentityNetwork
from ..runtime import Runtime
from .cuts import CutFinder
from .dynamic_range import to_display
from .information import VideoInformation
from .muxing import Times
from .reading import Reading, read_frames, turned
from .tracks import Findings, Track, track_faces

LOOK_SIZE = 640
"""Longest shorter side in pixels at which frames are looked at."""

FRAMES_AT_ONCE = 8

CERTAIN_ENOUGH = 0.6
"""A face that is followed may be so much less certain, as a share, than one that is new."""

DESCRIBED_EVERY = 1.0
"""Seconds between two descriptors of a face that nobody is near."""

NEAR = 1.6
"""Faces whose centres are nearer than this many of their sizes may be taken for each other."""

SAMPLES = 24
"""Rows of a face whose colours are looked at."""

CHIP_SIZE = 150
"""Side of the crops that are described."""


@dataclass(frozen=True)
class Survey:
    """What the first pass found."""

    times: Times
    """When the frames are shown."""
    cuts: tuple[int, ...]
    """Frames with which a new shot begins, without the first."""
    tracks: tuple[Track, ...]
    """Everybody's way through the shots."""
    height: int
    """Rows of the picture as it is displayed, in which the tracks are."""
    width: int
    """Columns of it: other than those of the frames where pixels are not square."""
    notes: tuple[str, ...]
    """What is wrong with the file, in the user's words."""

    @property
    def is_searchable(self) -> bool:
        """Whether frames may be read from any one on: of a faulty file only from the first."""
        return not self.notes


def survey_video(
    information: VideoInformation,
    detector: FaceDetector,
    *,
    confidence: float = DEFAULT_CONFIDENCE,
    min_size: float = DEFAULT_MIN_SIZE,
    search_size: int | None = None,
    identity: IdentityNetwork | None = None,
    runtime: Runtime | None = None,
) -> Survey:
    """Look through a video.

    Args:
        information: the video.
        detector: finds the faces.
        confidence: how sure it must be of a new face, 0 to 1.
        min_size: faces whose longer side is shorter are left alone, in pixels of the frame.
        search_size: frames are looked at with at most so many pixels of their shorter side.
        identity: tells people apart where two of them come close; without it they are told apart
            by place and size alone.
        runtime: takes the progress.

    Raises:
        VideoError: the video cannot be read.
        SettingError: a setting is out of its range.
    """
    runtime = runtime or Runtime()
    reading, seconds = Reading(), float(information.time_base)
    watcher = _Watcher(information, detector, confidence, min_size, search_size, identity)
    starts: list[int] = []
    damaged: list[int] = []
    frames = read_frames(information, reading)
    while batch := list(islice(frames, FRAMES_AT_ONCE)):
        starts += [frame.time for frame in batch]
        damaged += [frame.time for frame in batch if frame.damaged]
        looks = torch.stack([watcher.look(frame.picture) for frame in batch])
        total = max(information.frames, len(starts))
        place = len(starts) / total
        watcher.watch(looks, [frame.time * seconds for frame in batch], runtime.share(place, place))
        runtime.report(len(starts), total)
    moments = [start * seconds for start in starts]
    cuts = watcher.cuts.cuts()
    tracks = track_faces(watcher.findings, moments, cuts)
    return Survey(
        Times(starts, reading.last_duration),
        tuple(cuts),
        tuple(track for track in tracks if track.scores.max() >= confidence),
        watcher.height,
        watcher.width,
        (*reading.notes, *_damage(information, damaged)),
    )


def displayed(picture: Any, information: VideoInformation, height: int, width: int) -> Tensor:
    """A decoded frame as it is displayed, upright and of a size, (height, width, 3) in 0..1."""
    stored = (height, width) if information.orientation.transpose else (width, height)
    small = picture.reformat(*stored, "rgb24", interpolation="AREA")
    pixels = turned(small.to_ndarray(), information.orientation)
    values = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 255
    return to_display(values, information.colour.transfer)


class _Watcher:
    """Looks at frames in order and keeps what is found."""

    def __init__(
        self,
        information: VideoInformation,
        detector: FaceDetector,
        confidence: float,
        min_size: float,
        search_size: int | None,
        identity: IdentityNetwork | None,
    ) -> None:
        self._information, self._detector = information, detector
        self._confidence, self._min_size, self._identity = confidence, min_size, identity
        self.cuts, self.findings = CutFinder(), Findings()
        aspect = float(information.sample_aspect)
        self.height, self.width = information.height, max(1, round(information.width * aspect))
        self._search_size = search_size
        look_size = search_size or LOOK_SIZE
        self._shrink = min(1.0, look_size / min(self.height, self.width))
        self._described: list[tuple[float, float, float]] = []

    def look(self, picture: Any) -> Tensor:
        """A frame as it is displayed, upright and small, (h, w, 3) in 0..1."""
        sides = (max(2, round(side * self._shrink)) for side in (self.height, self.width))
        return displayed(picture, self._information, *sides)

    def watch(self, looks: Tensor, times: Sequence[float], runtime: Runtime) -> None:
        """Find the faces of the next frames, (B, h, w, 3), shown at these times in seconds."""
        found = self._detector.detect(
            looks,
            confidence=self._confidence * CERTAIN_ENOUGH,
            min_size=self._min_size * self._shrink,
            search_size=self._search_size,
            runtime=runtime,
        )
        grow = self.height / looks.shape[1]
        for look, faces, time in zip(looks, found.frames, times, strict=True):
            self.cuts.add(look)
            colours = [_colour(look, face) for face in faces]
            descriptors = self._descriptors(look, faces, time, runtime)
            self.findings.add_frame(faces, colours, descriptors, grow)

    def _descriptors(
        self, look: Tensor, faces: Sequence[Face], time: float, runtime: Runtime
    ) -> dict[int, Any]:
        """Descriptors of faces that may be mistaken for each other, and now and then of all."""
        identity = self._identity
        if identity is None:
            return {}
        asked = [place for place, face in enumerate(faces) if self._asks(face, faces, time)]
        crops = [crop_face(look, faces[place].placement.rescaled(CHIP_SIZE)) for place in asked]
        described = runtime.batches(
            identity,
            len(crops),
            lambda part: identity.embed(torch.stack(crops[part]).to(runtime.device(identity))),
            bytes_per_item=identity.bytes_per_pair(CHIP_SIZE, CHIP_SIZE),
        )
        descriptors = [each for _, batch in described for each in batch.float().cpu().numpy()]
        return dict(zip(asked, descriptors, strict=True))

    def _asks(self, face: Face, faces: Sequence[Face], time: float) -> bool:
        x, y = face.box.centre
        near = NEAR * face.box.size

        def is_near(there: tuple[float, float]) -> bool:
            return max(abs(there[0] - x), abs(there[1] - y)) < near

        if any(other is not face and is_near(other.box.centre) for other in faces):
            return True
        self._described = [each for each in self._described if time - each[2] < DESCRIBED_EVERY]
        if any(is_near((each[0], each[1])) for each in self._described):
            return False
        self._described.append((x, y, time))
        return True


def _colour(look: Tensor, face: Face) -> float:
    """How much the colours inside a face's box vary."""
    box, (height, width) = face.box, look.shape[:2]
    left, right = (int(min(max(edge, 0), width - 1)) for edge in (box.left, box.right))
    top, bottom = (int(min(max(edge, 0), height - 1)) for edge in (box.top, box.bottom))
    step = max(1, (bottom - top) // SAMPLES)
    return float(colour_variance(look[None, top : bottom + 1 : step, left : right + 1 : step]))


def _damage(information: VideoInformation, damaged: Sequence[int]) -> Iterator[str]:
    if damaged:
        places = ", ".join(information.clock(time) for time in damaged[:5])
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        yield f"damaged frames, left as they are: at {places}{more}"
