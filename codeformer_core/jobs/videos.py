"""One video from its source to its target, or the part of the way that is asked for."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..faces import FaceDetector, FaceParser
from ..models.restorer import Restorer
from ..pipeline.upscaling import Upscaler
from ..runtime import Progress, Runtime
from ..video.names import is_video
from .outcome import Outcome
from .places import delivered, fetched, make_place
from .plan import JOIN, Frames, Task
from .settings import Settings

if TYPE_CHECKING:
    from ..metrics.identity import IdentityNetwork
    from ..video.job import VideoJob, VideoSettings
    from ..video.segments import Segment
    from ..video.survey import Survey

LEAST_PARTS = 3
"""Of a video that several work on, of about ten seconds each: a shorter one stays whole."""


def restore_clip(
    task: Task,
    network: Restorer,
    detector: FaceDetector | None,
    settings: Settings,
    on_progress: Progress | None,
    *,
    parser: FaceParser | None = None,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
    survey: "Survey | None" = None,
    in_parts: bool = False,
) -> Outcome:
    """Restore one video, or some frames of it, and put the result in its place.

    Args:
        task: what to do.
        network: restores aligned faces.
        detector: finds faces.
        settings: what is asked for.
        on_progress: takes the progress.
        parser: cuts masks out along hair and neck.
        upscaler: enlarges frames instead of interpolation.
        face_upscaler: enlarges restored faces that are smaller than they are in the result.
        survey: what a first pass with these settings found; None makes it.
        in_parts: only look through a long video; the outcome says in which parts it can be restored
            at the same time. Its folder must be seen by all who do.

    Raises:
        CodeFormerError: it cannot be read, restored or written.
        SettingError: a setting is for pictures only.
    """
    runtime = Runtime(on_progress)
    make_place(task.target.parent)
    with fetched(task.source) as source, delivered(task.target) as target:
        job = _begin(
            source,
            target,
            network,
            detector,
            settings,
            parser=parser,
            upscaler=upscaler,
            face_upscaler=face_upscaler,
            survey=survey,
            resume=settings.resume or task.frames is not None,
            begun=_is_begun(task, target),
            runtime=runtime,
        )
        parts = _parts(task, job) if in_parts else ()
        if len(parts) >= LEAST_PARTS:
            return Outcome(task, parts=parts)
        job.restore(_wanted(job, task.frames), runtime)
        if task.is_part:
            return Outcome(task)
        result = job.finish()
    return Outcome(task, result.tracks, result.notes)


def stopped_videos(tasks: Iterable[Task]) -> Iterator[tuple[str, int]]:
    """Those that were begun and are not finished, and how many frames of each are restored."""
    from ..video.segments import SegmentFolder

    for task in tasks:
        if is_video(PurePosixPath(task.result)) and isinstance(task.target, Path):
            folder = SegmentFolder(task.target)
            if folder.path.is_dir():
                yield str(task.source), folder.finished_frames


def _is_begun(task: Task, target: Path) -> bool:
    """Whether there must be something to go on with.

    A join leaves nothing: where its worker ended before that was known, it is done anew.
    """
    from ..video.segments import SegmentFolder

    return task.is_part or (task.frames == JOIN and SegmentFolder(target).path.is_dir())


def _begin(
    source: Path,
    target: Path,
    network: Restorer,
    detector: FaceDetector | None,
    settings: Settings,
    *,
    parser: FaceParser | None,
    upscaler: Upscaler | None,
    face_upscaler: Upscaler | None,
    survey: "Survey | None",
    resume: bool,
    begun: bool,
    runtime: Runtime,
) -> "VideoJob":
    from ..video.restore import begin_video

    if detector is None:
        raise SettingError("--aligned is for pictures of faces; leave it out for videos")
    return begin_video(
        source,
        target,
        network,
        detector,
        _video_settings(settings),
        parser=parser,
        upscaler=upscaler,
        face_upscaler=face_upscaler,
        identity=identity_network(),
        survey=survey,
        resume=resume,
        begun=begun,
        runtime=runtime,
    )


def _parts(task: Task, job: "VideoJob") -> tuple[Frames, ...]:
    """Frames that can be restored at the same time.

    None where not all would see them, or where everybody would have to read all that comes before.
    """
    seen_by_all = isinstance(task.source, Path) and isinstance(task.target, Path)
    if task.frames or not (seen_by_all and job.is_searchable):
        return ()
    return tuple((segment.start, segment.stop) for segment in job.waiting)


def _wanted(job: "VideoJob", frames: Frames | None) -> "list[Segment]":
    if frames in (None, JOIN):
        return job.waiting
    start, stop = frames
    return [segment for segment in job.waiting if start <= segment.start < stop]


def _video_settings(settings: Settings) -> "VideoSettings":
    from ..pipeline.automatic import Automatic
    from ..video.encoding import DEFAULT_QUALITY, rate_factor
    from ..video.engine import FaceSettings
    from ..video.job import VideoSettings
    from ..video.steady import Steadiness

    if settings.picked or not isinstance(settings.fidelity, int | float | Automatic):
        raise SettingError(
            "--picked and --per-face are for pictures; videos take --people and one --fidelity, "
            "which may be auto"
        )
    steadiness = Steadiness() if settings.stability is None else Steadiness.of(settings.stability)
    return VideoSettings(
        FaceSettings(settings.fidelity, steadiness, settings.paste),
        settings.people,
        settings.confidence,
        settings.min_size,
        settings.search_size,
        settings.upscale,
        quality=DEFAULT_QUALITY if settings.quality is None else rate_factor(settings.quality),
    )


@cache
def identity_network() -> "IdentityNetwork":
    """What tells people apart, one for all videos."""
    from ..metrics.identity import IdentityNetwork

    return IdentityNetwork()
