"""Which files are videos, and what their results are called; known without PyAV."""

from pathlib import PurePath

CONTAINERS = {
    ".mp4": ("mp4", ("h264", "hevc", "av1")),
    ".m4v": ("mp4", ("h264", "hevc", "av1")),
    ".mov": ("mov", ("h264", "hevc", "prores")),
    ".mkv": ("matroska", ("h264", "hevc", "av1", "vp9", "ffv1", "prores")),
    ".webm": ("webm", ("vp9", "av1")),
    ".ts": ("mpegts", ("h264", "hevc")),
    ".m2ts": ("mpegts", ("h264", "hevc")),
}
"""FFmpeg's name of each container that results are written to, and codecs that players expect."""

OTHERS = frozenset(
    {".avi", ".wmv", ".flv", ".mpg", ".mpeg", ".mts", ".3gp", ".ogv", ".vob", ".mxf", ".f4v"}
)
"""What is read too."""

FALLBACK_SUFFIX = ".mkv"
"""Of results whose own container is not written: Matroska holds nearly everything."""


def is_video(name: PurePath) -> bool:
    """Whether a file is taken for a video by its name."""
    suffix = name.suffix.lower()
    return suffix in CONTAINERS or suffix in OTHERS


def result_suffix(name: PurePath) -> str:
    """The ending of a result's name: the source's own where such a file is written."""
    own = name.suffix
    return own if own.lower() in CONTAINERS else own + FALLBACK_SUFFIX
