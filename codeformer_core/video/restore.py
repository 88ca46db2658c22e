"""Restore the faces of a video, from its file to the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from torch import Tensor, nn

from .. import __version__
from ..errors import VideoError
from ..faces import FaceDetector, FaceParser
from ..metrics.identity import IdentityNetwork
from ..models.restorer import Restorer, settings_of
from ..pipeline.automatic import Automatic
from ..pipeline.recognition import Recognition
from ..pipeline.upscaling import Upscaler, check_upscale
from ..runtime import Runtime
from .encoding import Encoding, check_size, choose_encoding
from .engine import FaceEngine
from .enlarging import Enlarger, result_size
from .fidelities import choose_fidelities
from .information import VideoInformation
from .job import SURVEY_SHARE, RestoredVideo, VideoJob, VideoSettings
from .reading import inspect_video
from .recognition import recognise_people
from .segments import SegmentFolder
from .survey import Survey, survey_video
from .survey_file import read_survey, write_survey

CHOICE_SHARE = 0.05
"""Of the progress, at the end of `SURVEY_SHARE`, while fidelities are chosen."""


def restore_video(
    source: str | Path,
    target: str | Path,
    network: Restorer,
    detector: FaceDetector,
    settings: VideoSettings | None = None,
    *,
    parser: FaceParser | None = None,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
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
        upscaler: enlarges frames instead of interpolation, where they are to grow.
        face_upscaler: enlarges restored faces that are smaller than they are in the result.
        identity: tells people apart, and notices faces that stop looking like themselves; without
            it a network that knows people recognises nobody.
        resume: go on with what an interrupted run with the same settings has finished.
        runtime: where the networks run, and where progress goes.

    Raises:
        DiskFullError: the disk is full.
        SettingError: a setting is out of range.
        VideoError: the source cannot be read, or the result not be written.
    """
    runtime = runtime or Runtime()
    job = begin_video(
        source,
        target,
        network,
        detector,
        settings,
        parser=parser,
        upscaler=upscaler,
        face_upscaler=face_upscaler,
        identity=identity,
        resume=resume,
        runtime=runtime,
    )
    job.restore(job.waiting, runtime)
    return job.finish()


def begin_video(
    source: str | Path,
    target: str | Path,
    network: Restorer,
    detector: FaceDetector,
    settings: VideoSettings | None = None,
    *,
    parser: FaceParser | None = None,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
    identity: IdentityNetwork | None = None,
    survey: Survey | None = None,
    resume: bool = False,
    begun: bool = False,
    runtime: Runtime | None = None,
) -> VideoJob:
    """Do the first pass over a video, or take up what it found.

    Args:
        source: the video.
        target: the result; its ending chooses the container.
        network: restores aligned faces.
        detector: finds faces.
        settings: what is asked for.
        parser: cuts masks out along hair and neck.
        upscaler: enlarges frames.
        face_upscaler: enlarges restored faces.
        identity: tells people apart.
        survey: what a first pass with these settings found; None makes it, or takes it up.
        resume: go on with what an interrupted run with the same settings has finished.
        begun: there must be something to go on with, for the same video and settings.
        runtime: where the networks run, and where progress goes.

    Raises:
        DiskFullError: the disk is full.
        SettingError: a setting is out of range.
        VideoError: the source cannot be read, or is not what it was; or its codec does not
            hold frames of the result's size.
    """
    settings, runtime = settings or VideoSettings(), runtime or Runtime()
    check_upscale(settings.upscale)
    target = Path(target)
    information = inspect_video(source)
    encoding = choose_encoding(
        information,
        target,
        codec=settings.codec,
        quality=settings.quality,
        grows=settings.upscale != 1,
    )
    size = result_size(information, settings.upscale, encoding.format)
    check_size(encoding, target, *size)
    folder = SegmentFolder(target)
    helpers = (detector, parser, identity, upscaler, face_upscaler)
    digest = _digest(information, encoding, settings, network, helpers)
    if begun and not folder.is_for(digest):
        raise VideoError(
            f"{source}: the video, a model or this program is not the same as when the work on it "
            "was begun; restore it again, with the same on every machine"
        )
    folder.prepare(digest, keep=resume)
    survey = survey or read_survey(folder.survey)
    if survey is None:
        survey = survey_video(
            information,
            detector,
            confidence=settings.confidence,
            min_size=settings.min_size,
            search_size=settings.search_size,
            identity=identity,
            runtime=runtime.share(0, SURVEY_SHARE - CHOICE_SHARE),
        )
        write_survey(folder.survey, survey)
    recognition = recognise_people(survey, network, settings.people)
    engine = FaceEngine(
        network,
        settings.faces,
        parser=parser,
        identity=identity,
        fidelities=_fidelities(
            information, survey, network, settings, recognition, folder, runtime
        ),
        recognition=recognition,
        runtime=runtime,
    )
    enlarger = Enlarger(*size, upscaler, face_upscaler)
    return VideoJob(target, information, encoding, survey, settings, engine, enlarger)


def _fidelities(
    information: VideoInformation,
    survey: Survey,
    network: Restorer,
    settings: VideoSettings,
    recognition: Recognition,
    folder: SegmentFolder,
    runtime: Runtime,
) -> dict[int, float]:
    """What is chosen for each person, now or before; empty if one is set."""
    automatic, noted = settings.faces.fidelity, folder.noted_fidelities()
    if not isinstance(automatic, Automatic) or noted is not None:
        return noted or {}
    choosing = runtime.share(SURVEY_SHARE - CHOICE_SHARE, SURVEY_SHARE)
    whom = dict(enumerate(recognition.whom, 1))
    chosen = choose_fidelities(
        information, survey, network, automatic, settings.people, whom, choosing
    )
    folder.note_fidelities(chosen)
    return chosen


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
    told = (settings_of(network), *(getattr(each, "name", each is not None) for each in helpers))
    facts = (information, status.st_size, status.st_mtime_ns, encoding, settings, told)
    digest.update(repr((__version__, *facts)).encode())
    for weights in chain(network.parameters(), *map(_weights_of, helpers)):
        sample = weights.detach().flatten()[:: max(1, weights.numel() // 16)]
        digest.update(sample.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _weights_of(helper: object) -> Iterable[Tensor]:
    """Those of a network, or of what runs one."""
    network = getattr(helper, "network", helper)
    return network.parameters() if isinstance(network, nn.Module) else ()
