"""One video from its source to its target."""

from functools import cache
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..faces import FaceDetector
from ..models.restorer import Restorer
from ..runtime import Progress, Runtime
from .outcome import Outcome
from .places import delivered, fetched, make_place
from .plan import Task
from .settings import Settings

if TYPE_CHECKING:
    from ..metrics.identity import IdentityNetwork
    from ..video.restore import VideoSettings


def restore_clip(
    task: Task,
    network: Restorer,
    detector: FaceDetector | None,
    settings: Settings,
    on_progress: Progress | None,
) -> Outcome:
    """Restore one video and put the result in its place.

    Raises:
        CodeFormerError: it cannot be read, restored or written.
        SettingError: a setting is for pictures only.
    """
    if detector is None:
        raise SettingError("--aligned is for pictures of faces; leave it out for videos")
    if settings.upscale != 1:
        raise SettingError("videos keep their size; leave --upscale-by out for them")
    from ..video.restore import restore_video

    make_place(task.target.parent)
    with fetched(task.source) as source, delivered(task.target) as target:
        result = restore_video(
            source,
            target,
            network,
            detector,
            _video_settings(settings),
            identity=_identity(),
            resume=settings.resume,
            runtime=Runtime(on_progress),
        )
    return Outcome(task, result.tracks, result.notes)


def _video_settings(settings: Settings) -> "VideoSettings":
    from ..video.encoding import DEFAULT_QUALITY, rate_factor
    from ..video.engine import FaceSettings
    from ..video.restore import VideoSettings
    from ..video.steady import Steadiness

    if settings.picked or not isinstance(settings.fidelity, int | float):
        raise SettingError(
            "--picked, --per-face and --fidelity auto are for pictures; videos take --people and "
            "one fidelity"
        )
    steadiness = Steadiness() if settings.stability is None else Steadiness.of(settings.stability)
    return VideoSettings(
        FaceSettings(settings.fidelity, steadiness, settings.paste),
        settings.people,
        settings.confidence,
        settings.min_size,
        settings.search_size,
        quality=DEFAULT_QUALITY if settings.quality is None else rate_factor(settings.quality),
    )


@cache
def _identity() -> "IdentityNetwork":
    """One for all videos of a job."""
    from ..metrics.identity import IdentityNetwork

    return IdentityNetwork()
