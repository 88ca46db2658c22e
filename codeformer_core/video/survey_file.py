"""Keep what the first pass over a video found, so that an interrupted job need not repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..files import written_whole
from ..images import writing_errors
from .muxing import Times
from .survey import Survey
from .tracks import Track

FRAME_COLUMNS = ("points", "boxes", "scores")
"""Of a track: what it has one of for every frame."""


def write_survey(path: Path, survey: Survey) -> None:
    """Write a survey; the file appears only when it is whole.

    Raises:
        DiskFullError: the disk is full.
        PictureError: it cannot be written.
    """
    tracks = survey.tracks
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(track, name) for track in tracks]) if tracks else np.zeros(0)
        for name in FRAME_COLUMNS
    }
    known = [track.descriptor is not None for track in tracks]
    descriptors = [track.descriptor for track in tracks if track.descriptor is not None]
    with writing_errors(path), written_whole(path) as part, part.open("wb") as file:
        np.savez(
            file,
            frame_times=np.array(survey.times.starts, np.int64),
            last_duration=survey.times.last_duration,
            cuts=np.array(survey.cuts, np.int64),
            size=(survey.height, survey.width),
            notes=np.array(survey.notes, np.str_),
            track_starts=np.array([track.start for track in tracks], np.int64),
            lengths=np.array([len(track.scores) for track in tracks], np.int64),
            flags=np.array([_flags(track) for track in tracks], np.bool_).reshape(-1, 3),
            known=np.array(known, np.bool_),
            descriptors=np.array(descriptors, np.float32),
            **columns,
        )


def read_survey(path: Path) -> Survey | None:
    """Read a survey; None if there is none."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        height, width = (int(side) for side in file["size"])
        return Survey(
            Times(file["frame_times"].tolist(), int(file["last_duration"])),
            tuple(file["cuts"].tolist()),
            tuple(_tracks(file)),
            height,
            width,
            tuple(str(note) for note in file["notes"]),
        )


def _tracks(file: Any) -> Iterator[Track]:
    descriptors = iter(file["descriptors"])
    columns = [file[name] for name in FRAME_COLUMNS]
    stops = np.cumsum(file["lengths"])
    for start, length, stop, flags, known in zip(
        file["track_starts"], file["lengths"], stops, file["flags"], file["known"], strict=True
    ):
        points, boxes, scores = (column[stop - length : stop] for column in columns)
        descriptor = next(descriptors) if known else None
        yield Track(int(start), points, boxes, scores, descriptor, *(bool(flag) for flag in flags))


def _flags(track: Track) -> tuple[bool, bool, bool]:
    return track.gray, track.begins_shot, track.ends_shot
