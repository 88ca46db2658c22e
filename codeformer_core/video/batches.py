"""Tracks and steady placements for a batch of frames in memory, whoever restores its crops."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from ..faces import Face, Faces, crop_face
from ..metrics.identity import IdentityNetwork
from ..runtime import Runtime
from .cuts import CutFinder
from .people import number_people
from .placements import placement_numbers, placement_of, steady_placements
from .survey import CHIP_SIZE
from .tracks import REACH, Findings, Track, track_faces

LOOKS = 5
"""At a track, evenly over its length, for telling whom it shows."""

Place = tuple[int, int]
"""Of a face: frame, and place in the frame."""


def track_batch(
    faces: Faces,
    fps: float,
    images: Tensor | Sequence[Tensor] | None = None,
    *,
    remembered: int = 0,
    identity: IdentityNetwork | None = None,
    runtime: Runtime | None = None,
) -> Faces:
    """Number the faces of a batch of frames by whom they show.

    Gaps of up to 0.4 s are filled; what is seen for less than 0.1 s is taken for a mistake.

    Args:
        faces: of consecutive frames.
        fps: frames a second.
        images: (B, H, W, 3) the frames; shows where shots end.
        remembered: so many of the first frames are only thumbnails, for the end of shots.
        identity: tells who comes back after a gap or a cut; needs the frames.
        runtime: where it runs.

    Returns:
        The faces with `track`, from 1: who is seen longest.

    Raises:
        SettingError: fps is not above 0, or there are not as many frames as in `faces`.
    """
    times = frame_times(len(faces), fps)
    if images is not None and len(images) != len(faces):
        raise SettingError(f"{len(images)} frames do not fit faces of {len(faces)} frames")
    tracks = track_faces(_findings(faces), times, _cuts(images))
    if identity is not None and images is not None:
        tracks = _described(tracks, faces, images, remembered, identity, runtime or Runtime())
    frames: list[list[Face]] = [[] for _ in range(len(faces))]
    for track, person in sorted(zip(tracks, number_people(tracks), strict=True), key=_person):
        for index in range(track.start, track.stop):
            face = track.face(index, person, faces.height, faces.width)
            frames[index] += [] if face is None else [face]
    return dataclasses.replace(faces, frames=tuple(map(tuple, frames)))


def smooth_batch(faces: Faces, fps: float, strength: float = 1.0) -> Faces:
    """Steady the placements of the faces of a batch of frames.

    Args:
        faces: with track numbers; without any they are tracked first.
        fps: frames a second.
        strength: 0 changes nothing, 1 smooths fully.

    Returns:
        The same faces with other placements.

    Raises:
        SettingError: fps is not above 0, or the strength is outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise SettingError(f"strength is {strength}: it must be between 0 and 1")
    times = frame_times(len(faces), fps)
    if faces.count and all(face.track is None for face in faces):
        faces = track_batch(faces, fps)
    frames = [list(frame) for frame in faces.frames]
    for run in runs_of(faces):
        run_faces = [faces.frames[index][place] for index, place in run]
        numbers = placement_numbers(_points(run_faces))
        weights = np.array([face.score for face in run_faces])
        moments = [times[index] for index, _ in run]
        steady = steady_placements(numbers, moments, weights, strength)
        for (index, place), face, each in zip(run, run_faces, steady, strict=True):
            if strength and np.isfinite(each).all():
                placement = placement_of(each.tolist(), faces.height, faces.width)
                frames[index][place] = dataclasses.replace(face, placement=placement)
    return dataclasses.replace(faces, frames=tuple(map(tuple, frames)))


def _person(numbered: tuple[Track, int]) -> int:
    return numbered[1]


def frame_times(frames: int, fps: float) -> list[float]:
    """When frames are shown, in seconds.

    Raises:
        SettingError: fps is not above 0.
    """
    if not fps > 0:
        raise SettingError(f"fps is {fps}: it must be above 0")
    return [index / fps for index in range(frames)]


def _findings(faces: Faces) -> Findings:
    findings = Findings()
    for frame in faces.frames:
        findings.add_frame(frame)
    return findings


def _cuts(images: Tensor | Sequence[Tensor] | None) -> list[int]:
    finder = CutFinder()
    for image in () if images is None else images:
        finder.add(image[..., :3])
    return finder.cuts()


def _described(
    tracks: Sequence[Track],
    faces: Faces,
    images: Tensor | Sequence[Tensor],
    remembered: int,
    identity: IdentityNetwork,
    runtime: Runtime,
) -> list[Track]:
    """The tracks with the mean descriptor of a few of their faces in whole frames."""
    crops: list[Tensor] = []
    owners: list[int] = []
    for owner, track in enumerate(tracks):
        start = max(track.start, remembered)
        looks = np.linspace(start, track.stop - 1, LOOKS) if start < track.stop else np.empty(0)
        for index in np.unique(looks.round().astype(int)).tolist():
            face = track.face(index, owner, faces.height, faces.width)
            if face is not None:
                crops.append(crop_face(images[index][..., :3], face.placement.rescaled(CHIP_SIZE)))
                owners.append(owner)
    batches = runtime.batches(
        identity,
        len(crops),
        lambda part: identity.embed(torch.stack(crops[part]).to(runtime.device(identity))),
        bytes_per_item=identity.bytes_per_pair(CHIP_SIZE, CHIP_SIZE),
    )
    found = [each for _, batch in batches for each in batch.float().cpu().numpy()]
    known: dict[int, list[np.ndarray]] = defaultdict(list)
    for owner, descriptor in zip(owners, found, strict=True):
        known[owner].append(descriptor)
    return [
        dataclasses.replace(track, descriptor=np.mean(known[owner], 0)) if known[owner] else track
        for owner, track in enumerate(tracks)
    ]


def _points(faces: Sequence[Face]) -> np.ndarray:
    """(n, 5, 2) landmarks."""
    return np.array([face.landmarks.points for face in faces], np.float32)


def runs_of(faces: Faces) -> list[list[Place]]:
    """The places of every track's faces, apart wherever it is not seen, or jumps at a cut."""
    runs: list[list[Place]] = []
    newest: dict[int | tuple[str, int], list[Place]] = {}
    alone = count()
    for index, frame in enumerate(faces.frames):
        for place, face in enumerate(frame):
            key = ("alone", next(alone)) if face.track is None else face.track
            run = newest.get(key)
            if run is None or not _goes_on(faces, run[-1], index, face):
                run = newest[key] = []
                runs.append(run)
            run.append((index, place))
    return runs


def _goes_on(faces: Faces, last: Place, index: int, face: Face) -> bool:
    """Whether a face in a frame follows the last one of a run: next frame, and near."""
    before = faces.frames[last[0]][last[1]]
    moved = np.linalg.norm(_points([before]) - _points([face]), axis=-1).mean()
    return last[0] == index - 1 and bool(moved < REACH * max(1.0, before.box.size))
