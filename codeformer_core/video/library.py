"""PyAV, and its errors in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import VideoError
from ..images import DiskFullError
from ..images.disk import NO_ROOM
from ..packages import needed_for

with needed_for("reading and writing videos", "av"):
    import av
    from av.error import FFmpegError

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
