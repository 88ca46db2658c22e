"""A video that comes in windows, each a batch of frames: what the next one must know of the last.

The next one remembers who was seen, where, and through which crops, and goes on with the same faces
in the same places. But a window cannot look ahead of its end: faces that the detector misses in its
last frames stay there as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..faces import Face, Faces, Placement, landmarks_of
from ..metrics.identity import IdentityNetwork
from ..people.recogniser import Whom
from ..runtime import Runtime
from .batches import track_batch
from .cuts import thumbnail
from .placements import placement_numbers, placement_of
from .steady import HANDOVER, Memory

REMEMBERED_SECONDS = 0.6
"""Of frames whose findings are remembered: so far back does a placement look."""


@dataclass(frozen=True)
class Past:
    """What is known of the frames before a window."""

    faces: Faces = field(default_factory=lambda: Faces((), 0, 0))
    """Of the last of them, with their people's numbers."""
    thumbnails: tuple[Tensor, ...] = ()
    """Of the same frames, for the end of shots."""
    people: int = 0
    """The highest number of a person so far."""
    placements: Mapping[int | None, Placement] = field(default_factory=dict)
    """Where the last frame's people were cut out, by their numbers."""
    memories: Mapping[int | None, Memory] = field(default_factory=dict)
    """What was seen of them."""
    fidelities: Mapping[int | None, float] = field(default_factory=dict)
    """What was chosen for people so far, where it is chosen."""
    whom: Mapping[int | None, Whom] = field(default_factory=dict)
    """As whom they were restored, where the network knows anybody."""

    def __len__(self) -> int:
        """Return how many frames' findings are known."""
        return len(self.faces)

    def of_size(self, height: int, width: int) -> Past:
        """This past, or none at all for frames of another size."""
        same = (self.faces.height, self.faces.width) == (height, width)
        return self if same else Past(Faces((), height, width))

    def then(self, tracked: Faces, steady: Faces, images: Tensor, fps: float) -> Past:
        """The past of the next window, still without memories.

        Args:
            tracked: the faces of these frames and the window's.
            steady: the same in steady places.
            images: (B, H, W, 3) the window's frames.
            fps: frames a second.
        """
        count = max(1, round(REMEMBERED_SECONDS * fps))
        looks = [*self.thumbnails, *map(thumbnail, images[-count:])]
        people = max((face.track or 0 for face in tracked), default=0)
        return Past(
            replace(tracked, frames=tracked.frames[-count:], misfits=0),
            tuple(looks[-count:]),
            max(self.people, people),
            {face.track: face.placement for frame in steady.frames[-1:] for face in frame},
            fidelities=self.fidelities,
            whom=self.whom,
        )


def track_window(
    faces: Faces,
    images: Tensor,
    past: Past,
    fps: float,
    *,
    identity: IdentityNetwork | None = None,
    runtime: Runtime | None = None,
) -> Faces:
    """Follow faces through a window and the frames before it.

    Args:
        faces: of the window's frames.
        images: (B, H, W, 3) these frames.
        past: what is known of those before.
        fps: frames a second.
        identity: tells who comes back after a gap or a cut within the window.
        runtime: where it runs.

    Returns:
        The faces of the past's frames and the window's, with `track`: who goes on keeps the number,
        and new people get the next ones.
    """
    tracked = track_batch(
        replace(faces, frames=past.faces.frames + faces.frames),
        fps,
        [*past.thumbnails, *images],
        remembered=len(past),
        identity=identity,
        runtime=runtime,
    )
    numbers = _numbers(tracked, past)
    frames = (
        sorted((replace(face, track=numbers[face.track]) for face in frame), key=_number)
        for frame in tracked.frames
    )
    return replace(tracked, frames=tuple(map(tuple, frames)))


def hand_over(steady: Faces, past: Past) -> Faces:
    """Let the first places after the past begin where its last ones were.

    Those could not look ahead. How far they were off, as is known by now, fades out.

    Args:
        steady: faces of the past's frames and the window's in steady places.
        past: what is known of the frames before.
    """
    start, frames = len(past), list(steady.frames)
    last = {face.track: face.placement for frame in frames[:start][-1:] for face in frame}
    off = {
        person: _apart(used, last[person])
        for person, used in past.placements.items()
        if person in last
    }
    for index, share in zip(range(start, len(frames)), HANDOVER, strict=False):
        frames[index] = tuple(
            _shifted(face, share * off[face.track]) if face.track in off else face
            for face in frames[index]
        )
    return replace(steady, frames=tuple(frames))


def _numbers_of(placement: Placement) -> NDArray[np.float64]:
    """(4,) as `placement_numbers` gives them."""
    return placement_numbers(np.array([landmarks_of(placement).points]))[0]


def _apart(placement: Placement, other: Placement) -> NDArray[np.float64]:
    """(4,) what is to be added to the other's numbers."""
    off = _numbers_of(placement) - _numbers_of(other)
    off[3] = (off[3] + np.pi) % (2 * np.pi) - np.pi  # an angle
    return off


def _shifted(face: Face, off: NDArray[np.float64]) -> Face:
    numbers, place = _numbers_of(face.placement) + off, face.placement
    moved = placement_of(numbers.tolist(), place.picture_height, place.picture_width)
    return replace(face, placement=moved)


def _numbers(tracked: Faces, past: Past) -> dict[int | None, int]:
    """What the people of a window and its past are to be called, by the numbers they got."""
    same: Counter[tuple[int | None, int | None]] = Counter()
    for now, before in zip(tracked.frames, past.faces.frames, strict=False):
        known = {face.box: face.track for face in before}
        same.update((face.track, known[face.box]) for face in now if face.box in known)
    numbers: dict[int | None, int] = {}
    for (now, before), _ in same.most_common():
        if now not in numbers and before is not None and before not in numbers.values():
            numbers[now] = before
    new = sorted({_number(face) for face in tracked} - set(numbers))
    return numbers | {number: past.people + place for place, number in enumerate(new, 1)}


def _number(face: Face) -> int:
    return face.track or 0
