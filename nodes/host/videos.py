"""The host's VIDEO as a file, and a file as the host's VIDEO."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import folder_paths
from comfy_api.latest import InputImpl

MATROSKA = b"\x1aE\xdf\xa3"
"""What such a file begins with."""

SAME_LENGTH = 0.05
"""Seconds by which the length of a whole file may differ from that of the VIDEO behind it."""


@contextmanager
def working_folder() -> Iterator[Path]:
    """A folder among the host's temporary files, which is gone afterwards, also after Cancel."""
    temporary = Path(folder_paths.get_temp_directory())
    temporary.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=temporary, prefix="codeformer_") as folder:
        yield Path(folder)


def file_of(video: Any, folder: Path) -> Path:
    """The file behind a VIDEO; written into a folder if there is none, or other than it says."""
    # What Create Video makes has no file, and cannot make one in memory: it wants a name.
    made = isinstance(video, InputImpl.VideoFromComponents)
    source = None if made else video.get_stream_source()
    if source is None or _is_edited(video, source):
        path = folder / "source.mp4"
        video.save_to(str(path))
        return path
    if isinstance(source, (str, Path)):
        return Path(source)
    return _written(source, folder)


def as_video(path: Path) -> Any:
    """A VIDEO that is a file: Save Video copies its packets instead of encoding again."""
    return InputImpl.VideoFromFile(str(path))


def _written(source: Any, folder: Path) -> Path:
    """A file in memory as one in a folder."""
    source.seek(0)
    path = folder / f"source{'.mkv' if source.read(4) == MATROSKA else '.mp4'}"
    source.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    return path


def _is_edited(video: Any, source: Any) -> bool:
    """Whether a newer host has cut or changed what the file shows."""
    changed = getattr(video, "has_pending_frame_edits", None)
    if changed is not None and changed():
        return True
    if getattr(video, "as_trimmed", None) is None:
        return False
    whole = InputImpl.VideoFromFile(source)
    return abs(video.get_duration() - whole.get_duration()) > SAME_LENGTH
