"""One picture from its source to its target."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from ..faces import FaceDetector
from ..images import (
    Picture,
    atomic_write,
    make_folder,
    read_picture,
    resize,
    write_picture,
)
from ..networks import CodeFormer
from ..pipeline import restore_crops, restore_image
from ..pipeline.large_faces import large_face_notes
from ..pipeline.restore import enlarge
from ..runtime.runtime import Progress
from .outcome import Outcome
from .plan import Task

Restored = tuple[Picture, int, tuple[str, ...]]
"""The result, the number of its faces, and what the user should know of it."""


@dataclass(frozen=True)
class Settings:
    """What is asked for, the same for every picture of a job."""

    fidelity: float
    """0 (quality) to 1 (identity)."""
    upscale: float
    """Factor for the whole picture, 1 to 4."""
    confidence: float
    """Faces scored lower are left alone, 0 to 1."""
    min_size: float
    """Smaller faces, in pixels, are left alone."""


@dataclass(frozen=True)
class Restorer:
    """Networks and settings of a job."""

    network: CodeFormer
    detector: FaceDetector | None
    """None for aligned faces."""
    settings: Settings

    def restore(self, task: Task, on_progress: Progress | None = None) -> Outcome:
        """Restore one picture and put the result in its place.

        Raises:
            CodeFormerError: the picture cannot be read, restored or written.
        """
        picture = read_picture(task.source)
        restore = self._picture if self.detector else self._aligned
        result, faces, notes = restore(picture, on_progress)
        make_folder(task.target.parent)
        unchanged = faces == 0 and self.settings.upscale == 1
        if unchanged and task.source.suffix == task.target.suffix:
            copy_file(task.source, task.target)  # no pixel changed, so no byte should
        else:
            notes = (*picture.notes, *notes, *write_picture(task.target, result))
        return Outcome(task, faces, notes)

    def _picture(self, picture: Picture, on_progress: Progress | None) -> Restored:
        settings = self.settings
        restored = restore_image(
            picture.pixels,
            self.network,
            self.detector,
            fidelity=settings.fidelity,
            confidence=settings.confidence,
            min_size=settings.min_size,
            upscale=settings.upscale,
            on_progress=on_progress,
        )
        alpha = picture.alpha
        if alpha is not None:
            alpha = enlarge(alpha[None, ..., None], settings.upscale)[0, ..., 0]
        result = replace(picture, pixels=restored.image, alpha=alpha)
        return result, restored.faces.count, restored.warnings

    def _aligned(self, picture: Picture, on_progress: Progress | None) -> Restored:
        crops = picture.pixels[None]
        restored = restore_crops(
            self.network, crops, self.settings.fidelity, on_progress=on_progress
        )
        restored = enlarge(restored, self.settings.upscale)
        alpha = picture.alpha
        if alpha is not None:
            alpha = resize(alpha[None, ..., None], *restored.shape[1:3])[0, ..., 0]
        notes = large_face_notes([crops.shape[1]], self.network.size)
        return replace(picture, pixels=restored[0], alpha=alpha), 1, notes


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, under its new name only when it is whole.

    Raises:
        PictureError: it cannot be read or written.
    """
    with atomic_write(target) as written, source.open("rb") as read:
        shutil.copyfileobj(read, written)
