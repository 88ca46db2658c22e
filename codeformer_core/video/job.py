"""A video between its two passes: its segments are restored, here or elsewhere, and joined."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..faces import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE
from ..images import atomic_write
from ..messages import counted
from ..pipeline.notes import large_face_notes, people_fidelity_notes, recognition_notes
from ..runtime import Runtime
from .casting import Cast
from .encoding import DEFAULT_QUALITY, Encoding
from .engine import FaceEngine, FaceSettings
from .enlarging import Enlarger
from .information import VideoInformation
from .muxing import write_video
from .passage import Passage
from .planes import sample_layout
from .reading import Frame
from .segments import Segment, SegmentFolder, SegmentWriter, split_frames
from .survey import Survey
from .windows import windows

SURVEY_SHARE = 0.2
"""Of the progress, for the first pass and for choosing fidelities."""


@dataclass(frozen=True)
class VideoSettings:
    """What is asked for."""

    faces: FaceSettings = field(default_factory=FaceSettings)
    """How faces are restored."""
    people: tuple[int, ...] = ()
    """Numbers of the people to restore, from 1, who is seen longest; empty takes all."""
    confidence: float = DEFAULT_CONFIDENCE
    """How sure the detector must be of a face, 0 to 1."""
    min_size: float = DEFAULT_MIN_SIZE
    """Smaller faces, in pixels, are left alone."""
    search_size: int | None = None
    """Pixels of the shorter side when faces are searched; None takes the usual ones."""
    upscale: float = 1.0
    """Enlarge the whole picture, 1 to 4."""
    codec: str = "auto"
    """auto keeps the source's where that is possible."""
    quality: float = DEFAULT_QUALITY
    """Of the result: 0 (lossless) to 51, as H.264 counts."""


@dataclass(frozen=True)
class RestoredVideo:
    """What became of a video."""

    path: Path
    """The result."""
    frames: int
    """How many it has."""
    people: int
    """How many were seen."""
    tracks: int
    """How many ways through shots were restored."""
    restored: int
    """Faces of frames that were restored in this run."""
    notes: tuple[str, ...]
    """What the user should know, in the user's words."""
    survey: Survey
    """What the first pass found."""


class VideoJob:
    """The second pass over a video.

    A segment depends on what the first pass found and on its own frames only, so that it is the
    same in whatever process, and after whichever others, it is restored.
    """

    def __init__(
        self,
        target: Path,
        information: VideoInformation,
        encoding: Encoding,
        survey: Survey,
        settings: VideoSettings,
        engine: FaceEngine,
        enlarger: Enlarger,
    ) -> None:
        """Prepare.

        Args:
            target: the result.
            information: the source.
            encoding: of the result.
            survey: what the first pass found.
            settings: what is asked for.
            engine: restores faces.
            enlarger: brings frames to the size of the result.

        Raises:
            SettingError: there is no such person.
        """
        self._target, self._information, self._encoding = target, information, encoding
        self._survey, self._engine, self._enlarger = survey, engine, enlarger
        self._folder = SegmentFolder(target)
        grows = settings.upscale != 1
        layout = sample_layout(information, encoding.format)
        self._layout = layout.at_another_size() if grows else layout
        starts = survey.times.starts
        times = [start * float(information.time_base) for start in starts]
        self._cast = Cast(survey, times, settings.people, settings.faces.steadiness.placement)
        changes = self._cast.roles or grows or information.path.suffix != target.suffix
        self._count = len(starts) if changes else 0
        self._segments = split_frames(self._count, information.rate, survey.cuts)

    @property
    def waiting(self) -> list[Segment]:
        """Segments that are not finished, in order; none ever of a video that needs no change."""
        return [each for each in self._segments if not self._folder.is_finished(each)]

    @property
    def is_searchable(self) -> bool:
        """Whether segments can be restored without reading all that comes before them."""
        return self._survey.is_searchable

    def restore(self, segments: Sequence[Segment], runtime: Runtime) -> None:
        """Restore some of those that wait.

        Args:
            segments: in order.
            runtime: takes the progress, of which the first pass had its share.

        Raises:
            DiskFullError: the disk is full.
            VideoError: a segment cannot be encoded or written.
        """
        runtime = runtime.share(SURVEY_SHARE, 1)
        for segment, frames in windows(self._information, self._survey, segments):
            self._encode(segment, frames, runtime)
            runtime.report(segment.stop, self._count)

    def _encode(self, segment: Segment, frames: Iterator[Frame], runtime: Runtime) -> None:
        engine, enlarger, orientation = self._engine, self._enlarger, self._information.orientation
        passage = Passage(engine, self._cast, segment, self._layout, orientation, enlarger)
        result = replace(self._information, height=enlarger.height, width=enlarger.width)
        path, helped, failed = self._folder.file(segment), engine.helped, engine.failed
        engine.runtime = runtime.share(segment.start / self._count, segment.start / self._count)
        with SegmentWriter(path, result, self._encoding, self._layout) as writer:
            for done, planes in enumerate(passage.frames(frames), segment.start + 1):
                writer.write(planes)
                runtime.report(done, self._count)
                engine.runtime = runtime.share(done / self._count, done / self._count)
            self._folder.note(segment, engine.helped - helped, engine.failed - failed)

    def finish(self) -> RestoredVideo:
        """Put the result together of its finished segments, and remove them.

        Raises:
            DiskFullError: the disk is full.
            VideoError: it cannot be written.
        """
        survey, cast = self._survey, self._cast
        lost: tuple[str, ...] = ()
        if self._segments:
            files = [self._folder.file(segment) for segment in self._segments]
            lost = (
                *self._encoding.lost,
                *write_video(self._target, self._information, self._encoding, files, survey.times),
            )
        else:
            _copy(self._information.path, self._target)  # no sample changes, so no byte should
        notes = (*survey.notes, *lost, *self._about_faces())
        self._folder.clear()
        frames, restored = len(survey.times.starts), self._engine.restored
        return RestoredVideo(
            self._target, frames, cast.people, len(cast.roles), restored, notes, survey
        )

    def _about_faces(self) -> Iterator[str]:
        """What is to be said of the faces that were restored."""
        grow = self._information.height / self._survey.height
        sides = [role.largest * grow for role in self._cast.roles]
        yield from large_face_notes(sides, self._engine.size)
        yield from recognition_notes(self._engine.recognition, "person")
        yield from people_fidelity_notes(self._engine.fidelities)
        counts = np.array([self._folder.noted(each) for each in self._segments]).reshape(-1, 2)
        helped, failed = counts.sum(0)
        if helped:
            yield (
                f"{counted(helped, 'face')} restored closer to the frame, so as to look like the "
                "person"
            )
        if failed:
            yield (
                f"{counted(failed, 'face')} left as in the source: the model gave no finite "
                "pixels; load it as float32 if it runs in a smaller type"
            )


def _copy(source: Path, target: Path) -> None:
    with atomic_write(target) as written, source.open("rb") as read:
        shutil.copyfileobj(read, written)
