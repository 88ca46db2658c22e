"""What the page does with a file, without any page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import SettingError
from ..faces import DEFAULT_CONFIDENCE, DEFAULT_MIN_SIZE, FaceDetector, PasteOptions
from ..faces.drawing import draw_faces
from ..images import WRITABLE_SUFFIXES, read_picture, resize
from ..images.sheet import Panel, draw_sheet
from ..jobs.plan import FALLBACK_SUFFIX, FALLBACK_SUFFIXES, Task
from ..jobs.restorer import PictureRestorer
from ..jobs.settings import Settings
from ..jobs.videos import identity_network, restore_clip
from ..models.restorer import Restorer
from ..people import known_people
from ..people.knowing import UNCONDITIONED, References, with_references
from ..pipeline.upscaling import LARGEST_UPSCALE, Upscaler
from ..runtime import Progress, Runtime
from ..video.names import is_video, result_suffix

if TYPE_CHECKING:
    from ..video.survey import Survey

SHOWN_SIDE = 1600
"""Longest side in pixels of what the page shows; the download has all."""
PORTRAIT = 192
"""Side in pixels of the people of a clip."""
IN_A_ROW = 5
RESTORED = "_restored"
"""After the name of a result."""


@dataclass(frozen=True)
class Wishes:
    """The controls of the page."""

    background: bool = False
    """Enlarge the background by a network."""
    upsample_faces: bool = False
    """The same of restored faces that are smaller than they are in the result."""
    rescale: float = 1.0
    """1 to 4."""
    fidelity: float = 0.5
    """0 (quality) to 1 (identity)."""
    picked: tuple[int, ...] = ()
    """Numbers of the faces of a picture, or of the people of a clip, from 1; none takes all."""
    leave_clean: bool = True
    """Leave faces of pictures alone that the model would only soften."""
    references: tuple[Path, ...] = ()
    """Clean photos of the people, as whom they are restored."""


@dataclass(frozen=True)
class Look:
    """A file before it is restored."""

    path: Path
    """The file."""
    numbered: Tensor | None
    """(H, W, 3) with numbers on the faces, or everybody in a clip; None if there is nobody."""
    count: int
    """How many faces there are in a picture, or people in a clip."""
    survey: Survey | None = None
    """Of a clip, so that it need not be looked through again."""


@dataclass(frozen=True)
class Made:
    """A result."""

    file: Path
    """In the format of what was given."""
    before: Tensor | None
    """(H, W, 3) of the size of `after`; None of a clip."""
    after: Tensor | None
    """(H, W, 3), small enough to be shown; None of a clip."""
    notes: tuple[str, ...]
    """What the user should know."""


@dataclass(frozen=True)
class Service:
    """Networks and limits of the page."""

    network: Restorer
    detector: FaceDetector
    upscaler: Upscaler
    """Enlarges background and faces where the two switches ask for it."""
    max_megapixels: float = 50.0
    """Of a picture as it comes, and of one as it goes."""
    fidelity: float = 0.5
    """At which the page begins."""

    def look(self, path: Path, on_progress: Progress | None = None) -> Look:
        """Find the faces of a picture, or the people of a clip.

        Args:
            path: what was given.
            on_progress: as of `Runtime`, of a clip; may raise to stop.

        Raises:
            CodeFormerError: it cannot be read, or is too large.
        """
        if is_video(path):
            return self._look_through(path, on_progress)
        pixels = read_picture(path, max_megapixels=self.max_megapixels).pixels[None]
        faces = self.detector.detect(pixels)
        if not faces.count:
            return Look(path, None, 0)
        return Look(path, _shown(draw_faces(pixels.float(), faces)), faces.count)

    def _look_through(self, path: Path, on_progress: Progress | None) -> Look:
        from ..video.portraits import portraits
        from ..video.reading import inspect_video
        from ..video.survey import survey_video

        information = inspect_video(path)
        identity, runtime = identity_network(), Runtime(on_progress)
        survey = survey_video(information, self.detector, identity=identity, runtime=runtime)
        people = [Panel(each, ()) for each in portraits(information, survey)]
        rows = [people[start : start + IN_A_ROW] for start in range(0, len(people), IN_A_ROW)]
        sheet = draw_sheet(rows, PORTRAIT) if rows else None
        return Look(path, sheet, len(people), survey)

    def restore(
        self,
        path: Path,
        folder: Path,
        wishes: Wishes,
        on_progress: Progress | None = None,
        look: Look | None = None,
    ) -> Made:
        """Restore a picture or a clip into a folder.

        Args:
            path: what was given.
            folder: for the result.
            wishes: the controls.
            on_progress: as of `Runtime`; may raise to stop.
            look: what was found in it; without one, a clip is looked through first.

        Raises:
            ValueError: the look is of another file.
            CodeFormerError: it cannot be read, restored or written, or would be too large.
        """
        if look is not None and look.path != path:
            raise ValueError(f"{path}: this is a look at {look.path}")
        task = Task(path, folder, path.stem + RESTORED + _suffix(path))
        file = folder / task.result
        self._check_size(path, wishes.rescale)
        if is_video(path):
            survey = look.survey if look is not None else None
            return Made(file, None, None, self._restore_clip(task, wishes, on_progress, survey))
        upscaler, face_upscaler = self._upscalers(wishes)
        network, unused = self._knowing(wishes)
        restorer = PictureRestorer(
            network,
            self.detector,
            self._settings(wishes),
            upscaler=upscaler,
            face_upscaler=face_upscaler,
        )
        outcome = restorer.restore(task, on_progress)
        limit = self.max_megapixels * LARGEST_UPSCALE**2
        before, after = (
            _shown(read_picture(each, max_megapixels=limit).pixels[None]) for each in (path, file)
        )
        before = resize(before[None], *after.shape[:2])[0]
        return Made(file, before, after, (*unused, *outcome.notes) or _praise(outcome.faces))

    def _restore_clip(
        self, task: Task, wishes: Wishes, on_progress: Progress | None, survey: Survey | None
    ) -> tuple[str, ...]:
        settings = replace(self._settings(wishes), picked=(), people=wishes.picked)
        upscaler, face_upscaler = self._upscalers(wishes)
        network, unused = self._knowing(wishes)
        outcome = restore_clip(
            task,
            network,
            self.detector,
            settings,
            on_progress,
            upscaler=upscaler,
            face_upscaler=face_upscaler,
            survey=survey,
        )
        return (*unused, *outcome.notes)

    def _knowing(self, wishes: Wishes) -> tuple[Restorer, tuple[str, ...]]:
        """The network, which draws whom the references show if it can, and a note if not.

        Raises:
            PictureError: a photo that cannot be read, or without a face.
        """
        if not wishes.references:
            return self.network, ()
        limit, identity = self.max_megapixels, identity_network()
        photos = [read_picture(each, max_megapixels=limit).pixels for each in wishes.references]
        people = known_people(photos, self.detector, identity)
        known = with_references(self.network, References(people, identity))
        return known, (UNCONDITIONED,) if known is self.network else ()

    def _upscalers(self, wishes: Wishes) -> tuple[Upscaler | None, Upscaler | None]:
        """Of the background, and of faces."""
        return (
            self.upscaler if wishes.background else None,
            self.upscaler if wishes.upsample_faces else None,
        )

    def _settings(self, wishes: Wishes) -> Settings:
        return Settings(
            fidelity=wishes.fidelity,
            picked=wishes.picked,
            upscale=wishes.rescale,
            confidence=DEFAULT_CONFIDENCE,
            min_size=DEFAULT_MIN_SIZE,
            search_size=None,
            adain=None,
            leave_clean=wishes.leave_clean,
            paste=PasteOptions(),
            max_megapixels=self.max_megapixels,
        )

    def _check_size(self, path: Path, rescale: float) -> None:
        """Raise a SettingError if the result, or its frames, would be larger than the limit."""
        if is_video(path):
            from ..video.reading import inspect_video

            information = inspect_video(path)
            height, width = information.height, information.width
        else:
            height, width = read_picture(path, max_megapixels=self.max_megapixels).pixels.shape[:2]
        megapixels = height * width * rescale**2 / 1e6
        if megapixels > self.max_megapixels:
            raise SettingError(
                f"the result would have {megapixels:.0f} megapixels, more than the "
                f"{self.max_megapixels:g} of this page: choose a smaller Rescaling_Factor"
            )


def _suffix(path: Path) -> str:
    """Of the result: the same, if it can be written."""
    if is_video(path):
        return result_suffix(path)
    suffix = path.suffix.lower()
    if suffix in WRITABLE_SUFFIXES:
        return path.suffix
    return FALLBACK_SUFFIXES.get(suffix, FALLBACK_SUFFIX)


def _praise(faces: int) -> tuple[str, ...]:
    return (f"{faces} {'face' if faces == 1 else 'faces'} restored",)


def _shown(images: Tensor) -> Tensor:
    """The first of (B, H, W, 3), no larger than a page shows."""
    height, width = images.shape[1:3]
    shrink = min(1.0, SHOWN_SIDE / max(height, width))
    sides: Sequence[int] = [max(1, round(side * shrink)) for side in (height, width)]
    return resize(images.float(), *sides)[0].clamp(0, 1)
