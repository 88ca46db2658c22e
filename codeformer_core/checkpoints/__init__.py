"""Weight files: read, recognise, load, convert, list and download them."""

from .catalogue import KNOWN_FILES, KnownFile, find
from .convert import convert
from .describe import FileReport, describe
from .download import DownloadCancelledError, download
from .identify import CheckpointInfo, identify
from .load import (
    BUILTIN,
    BUILTIN_PATH,
    load_codeformer,
    load_network,
    load_vqgan,
    network_from_state,
)
from .reader import Metadata, State, read_state
from .write import file_sha256, save_network, write_state

__all__ = [
    "BUILTIN",
    "BUILTIN_PATH",
    "KNOWN_FILES",
    "CheckpointInfo",
    "DownloadCancelledError",
    "FileReport",
    "KnownFile",
    "Metadata",
    "State",
    "convert",
    "describe",
    "download",
    "file_sha256",
    "find",
    "identify",
    "load_codeformer",
    "load_network",
    "load_vqgan",
    "network_from_state",
    "read_state",
    "save_network",
    "write_state",
]
