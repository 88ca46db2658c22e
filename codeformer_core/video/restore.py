"""Restore the faces of a video, from its file to the result."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import __version__
from ..faces import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector, FaceParser
from ..faces.types import TEMPLATE_SIZE
from ..images import atomic_write
from ..metrics.identity import IdentityNetwork
from ..models.restorer import Restorer
from ..pipeline.notes import large_face_notes
from ..runtime import Runtime
from .casting import Cast
from .encoding import DEFAULT_QUALITY, Encoding, choose_encoding
from .engine import FaceEngine, FaceSettings
from .information import VideoInformation
from .muxing import write_video
from .passage import Passage
from .planes import sample_layout
from .reading import Frame, inspect_video, read_frames
from .segments import Segment, SegmentFolder, SegmentWriter, split_frames
from .steady import LOOK_AHEAD
from .survey import Survey, survey_video
from .survey_file import read_survey, write_survey

SURVEY_SHARE = 0.2
"""Of the progress, for the first pass."""


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


def restore_video(
    source: str | Path,
    target: str | Path,
    network: Restorer,
    detector: FaceDetector,
    settings: VideoSettings | None = None,
    *,
    parser: FaceParser | None = None,
    identity: IdentityNetwork | None = None,
    resume: bool = False,
    runtime: Runtime | None = None,
) -> RestoredVideo:
    """Restore the faces of a video; sound, subtitles, data, times and tags stay as they are.

    The video is read twice, and memory does not grow with its length. Finished segments are kept
    in a hidden folder beside the result until that is whole.

    Args:
        source: the video.
        target: the result; its ending chooses the container.
        network: restores aligned faces.
        detector: finds faces.
        settings: what is asked for.
        parser: cuts masks out along hair and neck; without one they follow the geometry.
        identity: tells people apart, and notices faces that stop looking like themselves.
        resume: go on with what an interrupted run with the same settings has finished.
        runtime: where the networks run, and where progress goes.

    Raises:
        DiskFullError: the disk is full.
        SettingError: a setting is out of range.
        VideoError: the source cannot be read, or the result not be written.
    """
    settings, runtime = settings or VideoSettings(), runtime or Runtime()
    target = Path(target)
    information = inspect_video(source)
    encoding = choose_encoding(information, target, codec=settings.codec, quality=settings.quality)
    folder = SegmentFolder(target)
    helpers = (detector.name, parser and parser.name, identity is not None)
    digest = _digest(information, encoding, settings, network, helpers)
    folder.prepare(digest, keep=resume)
    survey = read_survey(folder.survey)
    if survey is None:
        survey = survey_video(
            information,
            detector,
            confidence=settings.confidence,
            min_size=settings.min_size,
            search_size=settings.search_size,
            identity=identity,
            runtime=runtime.share(0, SURVEY_SHARE),
        )
        write_survey(folder.survey, survey)
    job = _Job(information, encoding, survey, settings, folder)
    engine = FaceEngine(network, settings.faces, parser=parser, identity=identity, runtime=runtime)
    if job.cast.roles or information.path.suffix != target.suffix:
        job.run(engine, runtime.share(SURVEY_SHARE, 1))
        lost = write_video(target, information, encoding, job.files, survey.times)
    else:
        lost = ()
        _copy(information.path, target)  # no sample changes, so no byte should
    folder.clear()
    return RestoredVideo(
        target,
        len(survey.times.starts),
        job.cast.people,
        len(job.cast.roles),
        engine.restored,
        (
            *survey.notes,
            *encoding.lost,
            *lost,
            *_about_faces(engine, job.cast, information),
        ),
        survey,
    )


class _Job:
    """The second pass over all segments."""

    def __init__(
        self,
        information: VideoInformation,
        encoding: Encoding,
        survey: Survey,
        settings: VideoSettings,
        folder: SegmentFolder,
    ) -> None:
        self._information, self._encoding, self._settings = information, encoding, settings
        self._folder, self._layout = folder, sample_layout(information, encoding.format)
        self._count = len(survey.times.starts)
        self._segments = split_frames(self._count, information.rate)
        times = [start * float(information.time_base) for start in survey.times.starts]
        stability = settings.faces.steadiness.placement
        self.cast = Cast(survey, times, settings.people, stability)

    @property
    def files(self) -> list[Path]:
        """The encoded segments in order."""
        return [self._folder.file(segment) for segment in self._segments]

    def run(self, engine: FaceEngine, runtime: Runtime) -> None:
        """Encode every segment that is not there yet."""
        for segment, frames in _windows(self._information, self._segments):
            if not self._folder.is_finished(segment):
                self._encode(engine, segment, frames, runtime)
            runtime.report(segment.stop, self._count)

    def _encode(
        self, engine: FaceEngine, segment: Segment, frames: Iterator[Frame], runtime: Runtime
    ) -> None:
        orientation = self._information.orientation
        passage = Passage(engine, self.cast, segment, self._layout, orientation)
        path = self._folder.file(segment)
        with SegmentWriter(path, self._information, self._encoding, self._layout) as writer:
            for done, planes in enumerate(passage.frames(frames), segment.start + 1):
                writer.write(planes)
                runtime.report(done, self._count)
                engine.runtime = runtime.share(done / self._count, done / self._count)


def _windows(
    information: VideoInformation, segments: Sequence[Segment]
) -> Iterator[tuple[Segment, Iterator[Frame]]]:
    """Every segment with its frames and LOOK_AHEAD more on both sides; the video is read once."""
    frames = read_frames(information)
    recent: deque[Frame] = deque(maxlen=2 * LOOK_AHEAD)

    def window(segment: Segment) -> Iterator[Frame]:
        start, stop = segment.start - LOOK_AHEAD, segment.stop + LOOK_AHEAD
        yield from [frame for frame in recent if frame.index >= start]
        while not (recent and recent[-1].index >= stop - 1):
            frame = next(frames, None)
            if frame is None:
                return
            recent.append(frame)
            if frame.index >= start:
                yield frame

    for segment in segments:
        yield segment, window(segment)


def _copy(source: Path, target: Path) -> None:
    with atomic_write(target) as written, source.open("rb") as read:
        shutil.copyfileobj(read, written)


def _digest(
    information: VideoInformation,
    encoding: Encoding,
    settings: VideoSettings,
    network: Restorer,
    helpers: tuple[object, ...],
) -> str:
    """Of everything that changes a result."""
    status = information.path.stat()
    digest = hashlib.sha256()
    facts = (information, status.st_size, status.st_mtime_ns, encoding, settings, helpers)
    digest.update(repr((__version__, *facts)).encode())
    for weights in network.parameters():
        sample = weights.detach().flatten()[:: max(1, weights.numel() // 16)]
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _about_faces(engine: FaceEngine, cast: Cast, information: VideoInformation) -> tuple[str, ...]:
    """What is to be said of the faces that were restored."""
    grow = information.height / cast.survey.height
    sides = [
        float(np.exp(np.nanmax(role.numbers[:, 2]))) * TEMPLATE_SIZE * grow for role in cast.roles
    ]
    notes = list(large_face_notes(sides, engine.size))
    if engine.helped:
        notes.append(
            f"{engine.helped} faces were restored closer to their frames: they did not look like "
            "their person"
        )
    if engine.failed:
        notes.append(
            f"{engine.failed} faces were left as they were: the model gave no finite pixels for "
            "them; load it as float32 if it runs in a smaller type"
        )
    return tuple(notes)
