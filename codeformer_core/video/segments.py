"""Encode a video in segments that are whole or not there, so that a run can go on from the last."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

from ..images import atomic_write, make_folder, writing_errors
from .encoding import Encoding
from .information import VideoInformation
from .library import FFmpegError, av, encoding_errors
from .planes import Planes, SampleLayout, fill_picture
from .scheduling import usual_scheduling

SECONDS = 10.0
"""Of a segment, or half as much more or less where it can end with a shot: as much is lost at most
by an interruption."""


@dataclass(frozen=True)
class Segment:
    """Consecutive frames that are encoded on their own."""

    start: int
    """Index of the first frame."""
    stop: int
    """Index after the last."""


def split_frames(count: int, rate: Fraction, cuts: Sequence[int] = ()) -> list[Segment]:
    """Divide so many frames into segments.

    Args:
        count: of frames.
        rate: frames a second.
        cuts: frames with which a new shot begins: there no face goes on.
    """
    length = max(1, round(SECONDS * float(rate)))
    borders = [0]
    while borders[-1] < count:
        borders.append(min(_border(borders[-1] + length, length // 2, cuts), count))
    return [Segment(start, stop) for start, stop in pairwise(borders)]


def _border(place: int, reach: int, cuts: Sequence[int]) -> int:
    """The cut that is nearest to a place; the place itself if there is none within reach."""
    near = [cut for cut in cuts if abs(cut - place) <= reach]
    return min(near, key=lambda cut: abs(cut - place), default=place)


class SegmentFolder:
    """The hidden folder beside a result in which its finished segments lie until it is whole."""

    def __init__(self, target: Path) -> None:
        """Name the folder; nothing is made yet."""
        self.path = target.with_name(f".{target.name}.segments")

    @property
    def survey(self) -> Path:
        """Where the first pass leaves what it found."""
        return self.path / "survey.npz"

    @property
    def _digest(self) -> Path:
        return self.path / "digest"

    def prepare(self, digest: str, *, keep: bool) -> None:
        """Make the folder; what is in it stays only if it was made for the same and may be kept.

        Args:
            digest: of the source and of all that changes results.
            keep: whether to go on with what is there.

        Raises:
            PictureError: it cannot be made or emptied.
        """
        if not (keep and self.is_for(digest)):
            self.clear()
            make_folder(self.path)
            with writing_errors(self._digest):
                self._digest.write_text(digest)

    def is_for(self, digest: str) -> bool:
        """Whether what is in it was made for the same."""
        return self._digest.is_file() and self._digest.read_text() == digest

    def file(self, segment: Segment) -> Path:
        """Where a segment lies once it is finished."""
        return self.path / f"{segment.start:08}-{segment.stop:08}.mkv"

    def is_finished(self, segment: Segment) -> bool:
        """Whether it is there, whole."""
        return self.file(segment).is_file()

    @property
    def finished_frames(self) -> int:
        """How many frames all finished segments have together."""
        borders = (file.stem.split("-") for file in self.path.glob("[0-9]*.mkv"))
        return sum(int(stop) - int(start) for start, stop in borders)

    def note(self, segment: Segment, helped: int, failed: int) -> None:
        """Note, before a segment is finished, what is to be said of its faces at the end.

        Raises:
            DiskFullError: the disk is full.
            PictureError: it cannot be written.
        """
        with atomic_write(self._counts(segment)) as file:
            file.write(json.dumps([helped, failed]).encode())

    def noted(self, segment: Segment) -> tuple[int, int]:
        """What was noted of a finished segment: how many faces were helped, and how many failed."""
        helped, failed = json.loads(self._counts(segment).read_bytes())
        return helped, failed

    def note_fidelities(self, fidelities: Mapping[int, float]) -> None:
        """Note what was chosen for each person, so that whoever goes on takes the same.

        Raises:
            DiskFullError: the disk is full.
            PictureError: it cannot be written.
        """
        with atomic_write(self._fidelities) as file:
            file.write(json.dumps([*fidelities.items()]).encode())

    def noted_fidelities(self) -> dict[int, float] | None:
        """What was chosen for each person; None if nothing was yet."""
        file = self._fidelities
        return dict(json.loads(file.read_bytes())) if file.is_file() else None

    @property
    def _fidelities(self) -> Path:
        return self.path / "fidelities.json"

    def _counts(self, segment: Segment) -> Path:
        return self.file(segment).with_suffix(".json")

    def clear(self) -> None:
        """Remove everything.

        Raises:
            PictureError: it cannot be removed.
        """
        if self.path.exists():
            with writing_errors(self.path):
                shutil.rmtree(self.path)


class SegmentWriter:
    """Encodes the frames of one segment; its file gets its name when it is closed without an error.

    Frames are numbered evenly inside: the true times come when the result is put together, so that
    no container in between can round them.
    """

    def __init__(
        self, path: Path, information: VideoInformation, encoding: Encoding, layout: SampleLayout
    ) -> None:
        """Open the encoder.

        Args:
            path: the segment's file.
            information: the source, but for the size of the frames to come.
            encoding: how to encode.
            layout: of the frames to come.

        Raises:
            VideoError: the encoder refuses.
        """
        self._path = path
        self._part = path.with_suffix(f".{uuid.uuid4().hex[:8]}.part")  # of this process alone
        self._information, self._layout = information, layout
        self._count = 0
        with encoding_errors(path):
            self._container = av.open(
                str(self._part), "w", format="matroska", options={"fflags": "+bitexact"}
            )
            self._stream = self._open_stream(encoding)

    def _open_stream(self, encoding: Encoding) -> Any:
        information = self._information
        rate = information.rate.limit_denominator(1 << 16)
        stream: Any = self._container.add_stream(encoding.encoder, rate=rate)
        stream.options = encoding.options
        stream.width, stream.height = information.width, information.height
        stream.pix_fmt = encoding.format.name
        context = stream.codec_context
        context.time_base = 1 / rate
        context.sample_aspect_ratio = information.sample_aspect
        colour = self._layout.colour
        context.color_range, context.colorspace = colour.range, colour.matrix
        context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        context.thread_type = "AUTO"
        with usual_scheduling():
            context.open()
        return stream

    def write(self, planes: Planes) -> None:
        """Encode a frame.

        Raises:
            VideoError: it cannot be encoded or written.
        """
        layout = self._layout
        picture: Any = av.VideoFrame(planes.width, planes.height, layout.format.name)
        fill_picture(picture, planes)
        picture.color_range, picture.colorspace = layout.colour.range, layout.colour.matrix
        picture.pts, picture.time_base = self._count, self._stream.codec_context.time_base
        self._count += 1
        with encoding_errors(self._path):
            self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, or remove what there is of it after an error."""
        try:
            if kind is None:
                self._finish()
            else:
                with suppress(FFmpegError):  # the first error says more
                    self._container.close()
        finally:
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        with encoding_errors(self._path):
            self._container.mux(self._stream.encode())
            self._container.close()
            with self._part.open("rb+") as stream:
                os.fsync(stream.fileno())  # a segment that is there is whole, whatever is cut off
            self._part.replace(self._path)
