"""Published files: what is known of each, and how it gets here whole and checked."""

from .catalogue import KNOWN_FILES, KnownFile, find, known
from .download import DownloadCancelledError, download

__all__ = ["KNOWN_FILES", "DownloadCancelledError", "KnownFile", "download", "find", "known"]
