"""One picture from its source to its target."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor

from ..faces import FaceDetector, FaceParser
from ..images import (
    Picture,
    atomic_write,
    read_picture,
    resize,
    write_picture,
)
from ..models.restorer import Restorer
from ..pipeline import restore_image, try_restore_crops
from ..pipeline.crops import all_finite
from ..pipeline.upscaling import Upscaler, enlarge
from ..runtime import Progress, Runtime
from ..video.names import is_video
from .outcome import Outcome
from .places import delivered, fetched, make_place
from .plan import Task
from .settings import Settings
from .videos import restore_clip

Restored = tuple[Picture, int, tuple[str, ...]]
"""The result, the number of its faces, and what the user should know of it."""


@dataclass(frozen=True)
class PictureRestorer:
    """Networks and settings of a job."""

    network: Restorer
    detector: FaceDetector | None
    """None for aligned faces."""
    settings: Settings
    parser: FaceParser | None = None
    """Makes the masks; without one they follow the geometry."""
    upscaler: Upscaler | None = None
    """Enlarges the background of pictures instead of interpolation."""
    face_upscaler: Upscaler | None = None
    """Enlarges restored faces that are smaller than they are in the result."""
    in_parts: bool = False
    """Whether long videos are only looked through, for several to restore them."""

    def restore(self, task: Task, on_progress: Progress | None = None) -> Outcome:
        """Restore one picture or video and put the result in its place.

        Raises:
            CodeFormerError: it cannot be read, restored or written.
        """
        if is_video(PurePosixPath(task.result)):
            return restore_clip(
                task,
                self.network,
                self.detector,
                self.settings,
                on_progress,
                parser=self.parser,
                upscaler=self.upscaler,
                face_upscaler=self.face_upscaler,
                in_parts=self.in_parts,
            )
        with fetched(task.source) as source:
            picture = read_picture(source, max_megapixels=self.settings.max_megapixels)
            restore = self._picture if self.detector else self._aligned
            result, faces, notes = restore(picture, on_progress)
            make_place(task.target.parent)
            with delivered(task.target) as target:
                unchanged = faces == 0 and self.settings.upscale == 1
                if unchanged and source.suffix == target.suffix:
                    copy_file(source, target)  # no pixel changed, so no byte should
                else:
                    lost = write_picture(target, result, quality=self.settings.quality)
                    notes = (*picture.notes, *notes, *lost)
        return Outcome(task, faces, notes)

    def _picture(self, picture: Picture, on_progress: Progress | None) -> Restored:
        settings, alpha = self.settings, picture.alpha
        image = picture.pixels
        if alpha is not None:
            image = torch.cat([image, alpha[..., None]], dim=2)
        restored = restore_image(
            image,
            self.network,
            self.detector,
            fidelity=settings.fidelity,
            picked=settings.picked,
            parser=self.parser,
            paste=settings.paste,
            confidence=settings.confidence,
            min_size=settings.min_size,
            search_size=settings.search_size,
            upscale=settings.upscale,
            upscaler=self.upscaler,
            face_upscaler=self.face_upscaler,
            adain=settings.adain,
            leave_clean=settings.leave_clean,
            runtime=Runtime(on_progress),
        )
        return _changed(picture, restored.image), restored.restored, restored.warnings

    def _aligned(self, picture: Picture, on_progress: Progress | None) -> Restored:
        crops, settings, runtime = picture.pixels[None], self.settings, Runtime(on_progress)
        found = try_restore_crops(
            self.network,
            crops,
            settings.fidelity,
            adain=settings.adain,
            keep_gray=True,
            runtime=runtime,
        )
        crops = all_finite(found).crops
        restored = enlarge(crops, settings.upscale, self.upscaler, runtime.silent())[0]
        if picture.alpha is not None:
            alpha = resize(picture.alpha[None, ..., None], *restored.shape[:2])[0]
            restored = torch.cat([restored, alpha], dim=2)
        return _changed(picture, restored), 1, found.warnings


def _changed(picture: Picture, image: Tensor) -> Picture:
    """A picture with the pixels of `image` (H, W, 3 or 4), whose other channels get its size."""
    extra = picture.extra
    if extra is not None:
        extra = resize(extra[None], *image.shape[:2])[0]
    alpha = image[..., 3] if image.shape[2] == 4 else None
    return replace(picture, pixels=image[..., :3], alpha=alpha, extra=extra)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, under its new name only when it is whole.

    Raises:
        PictureError: it cannot be read or written.
    """
    with atomic_write(target) as written, source.open("rb") as read:
        shutil.copyfileobj(read, written)
