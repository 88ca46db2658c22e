"""What is asked for, the same for every file of a job."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..faces import PasteOptions
from ..pipeline.automatic import FidelityChoice


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    fidelity: FidelityChoice
    """0 (quality) to 1 (identity): one number, one for each picked face, or what chooses them."""
    picked: Sequence[int]
    """Numbers of the faces of a picture to restore, from 1; none takes all."""
    upscale: float
    """Factor for the whole picture, 1 to 4."""
    confidence: float
    """Faces scored lower are left alone, 0 to 1."""
    min_size: float
    """Smaller faces, in pixels, are left alone."""
    search_size: int | None
    """Pixels of the shorter side when faces are searched; None takes the detector's own."""
    adain: bool | None
    """Match statistics inside the network; None takes the model's own setting."""
    leave_clean: bool
    """Leave faces of pictures alone that the model would only soften."""
    paste: PasteOptions
    """How faces are blended."""
    quality: int | None = None
    """Of JPEG, WebP and videos; None keeps what a picture's own file has."""
    max_megapixels: float | None = None
    """Refuse larger pictures; None takes the usual limit."""
    stability: float | None = None
    """Of videos, 0 (frame by frame) to 1; None takes the usual one."""
    people: tuple[int, ...] = ()
    """Numbers of those to restore in videos; empty takes all."""
    resume: bool = False
    """Whether a video goes on with what an interrupted run finished of it."""
