"""PyAV, and its errors in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import MissingModelError, VideoError
from ..images import DiskFullError
from ..images.writing import NO_ROOM

try:
    import av
    from av.error import FFmpegError
except ImportError as error:
    raise MissingModelError("videos are read and written with PyAV: pip install av") from error

__all__ = ["FFmpegError", "av", "encoding_errors", "reason"]


def reason(error: Exception) -> str:
    """An error of FFmpeg in few words."""
    return str(getattr(error, "strerror", None) or error)


@contextmanager
def encoding_errors(path: Path) -> Iterator[None]:
    """Turn what FFmpeg says while `path` is written into an error for the user.

    Raises:
        DiskFullError: the disk is full.
        VideoError: anything else.
    """
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        if getattr(error, "errno", None) in NO_ROOM:
            raise DiskFullError(f"{path}: cannot be written: the disk is full") from error
        raise VideoError(f"{path}: cannot be written: {reason(error)}") from error
