"""What the page does with a file, without any page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..errors import SettingError
from ..faces import FaceDetector, PasteOptions
from ..faces.drawing import draw_faces
from ..images import WRITABLE_SUFFIXES, read_picture, resize
from ..jobs.plan import FALLBACK_SUFFIX, FALLBACK_SUFFIXES, Task
from ..jobs.restorer import PictureRestorer
from ..jobs.settings import Settings
from ..models.restorer import Restorer
from ..pipeline.upscaling import LARGEST_UPSCALE, Upscaler
from ..runtime import Progress
from ..video.names import is_video, result_suffix

SHOWN_SIDE = 1600
"""Longest side in pixels of what the page shows; the download has all."""
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
    """1 to 4; of pictures only."""
    fidelity: float = 0.5
    """0 (quality) to 1 (identity)."""
    picked: tuple[int, ...] = ()
    """Numbers of the faces of a picture, from 1; none takes all."""


@dataclass(frozen=True)
class Look:
    """A file before it is restored."""

    numbered: Tensor | None
    """(H, W, 3) with numbers on the faces; None of a clip."""
    count: int
    """How many faces there are."""


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
    upscaler: Upscaler | None = None
    """Enlarges background and faces; without one the two switches do nothing."""
    max_megapixels: float = 50.0
    """Of a picture as it comes, and of one as it goes."""
    fidelity: float = 0.5
    """At which the page begins."""

    def look(self, path: Path) -> Look:
        """Find the faces of a picture.

        Raises:
            CodeFormerError: it cannot be read, or is too large.
        """
        if is_video(path):
            return Look(None, 0)
        pixels = read_picture(path, max_megapixels=self.max_megapixels).pixels[None]
        faces = self.detector.detect(pixels)
        return Look(_shown(draw_faces(pixels.float(), faces)), faces.count)

    def restore(
        self, path: Path, folder: Path, wishes: Wishes, on_progress: Progress | None = None
    ) -> Made:
        """Restore a picture or a clip into a folder.

        Args:
            path: what was given.
            folder: for the result.
            wishes: the controls.
            on_progress: as of `Runtime`; may raise to stop.

        Raises:
            CodeFormerError: it cannot be read, restored or written, or would be too large.
        """
        clip = is_video(path)
        restorer = PictureRestorer(
            self.network,
            self.detector,
            self._settings(wishes, clip),
            upscaler=self.upscaler if wishes.background else None,
            face_upscaler=self.upscaler if wishes.upsample_faces else None,
        )
        if not clip:
            self._check_size(path, wishes.rescale)
        task = Task(path, folder, path.stem + RESTORED + _suffix(path))
        outcome = restorer.restore(task, on_progress)
        file = folder / task.result
        notes = (*outcome.notes, *_unfit(wishes, clip))
        if clip:
            return Made(file, None, None, notes)
        limit = self.max_megapixels * LARGEST_UPSCALE**2
        before, after = (
            _shown(read_picture(each, max_megapixels=limit).pixels[None]) for each in (path, file)
        )
        before = resize(before[None], *after.shape[:2])[0]
        return Made(file, before, after, notes or _praise(outcome.faces))

    def _settings(self, wishes: Wishes, clip: bool) -> Settings:
        return Settings(
            fidelity=wishes.fidelity,
            picked=() if clip else wishes.picked,
            upscale=1.0 if clip else wishes.rescale,
            confidence=0.8,
            min_size=16.0,
            search_size=None,
            adain=None,
            leave_clean=True,
            paste=PasteOptions(),
            max_megapixels=self.max_megapixels,
        )

    def _check_size(self, path: Path, rescale: float) -> None:
        """Raise a SettingError if the result would be larger than the limit."""
        pixels = read_picture(path, max_megapixels=self.max_megapixels).pixels
        megapixels = pixels.shape[0] * pixels.shape[1] * rescale**2 / 1e6
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


def _unfit(wishes: Wishes, clip: bool) -> tuple[str, ...]:
    """Wishes that a clip does not take."""
    if clip and (wishes.rescale != 1 or wishes.background or wishes.upsample_faces):
        return ("clips keep their size: Rescaling_Factor and the switches are for pictures",)
    return ()


def _praise(faces: int) -> tuple[str, ...]:
    return (f"{faces} {'face' if faces == 1 else 'faces'} restored",)


def _shown(images: Tensor) -> Tensor:
    """The first of (B, H, W, 3), no larger than a page shows."""
    height, width = images.shape[1:3]
    shrink = min(1.0, SHOWN_SIDE / max(height, width))
    sides: Sequence[int] = [max(1, round(side * shrink)) for side in (height, width)]
    return resize(images.float(), *sides)[0].clamp(0, 1)
