"""Models: tell what a weight file is, find it in the user's folders, build what it holds."""

from .convert import convert
from .describe import FileReport, describe
from .identify import CheckpointInfo, identify
from .load import (
    BUILTIN,
    BUILTIN_PATH,
    load_codeformer,
    load_network,
    load_vqgan,
    network_from_state,
)

__all__ = [
    "BUILTIN",
    "BUILTIN_PATH",
    "CheckpointInfo",
    "FileReport",
    "convert",
    "describe",
    "identify",
    "load_codeformer",
    "load_network",
    "load_vqgan",
    "network_from_state",
]
