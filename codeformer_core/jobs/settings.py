"""What is asked for, the same for every file of a job."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What is asked for."""

    fidelity: float
    """0 (quality) to 1 (identity)."""
    upscale: float
    """Factor for the whole picture, 1 to 4."""
    confidence: float
    """Faces scored lower are left alone, 0 to 1."""
    min_size: float
    """Smaller faces, in pixels, are left alone."""
    quality: int | None = None
    """Of JPEG and WebP; None keeps what a picture's own file has."""
    max_megapixels: float | None = None
    """Refuse larger pictures; None takes the usual limit."""
    stability: float | None = None
    """Of videos, 0 (frame by frame) to 1; None takes the usual one."""
    people: tuple[int, ...] = ()
    """Numbers of those to restore in videos; empty takes all."""
    resume: bool = False
    """Whether a video goes on with what an interrupted run finished of it."""
