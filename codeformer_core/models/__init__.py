"""Models: tell what a weight file is, find it in the user's folders, build what it holds."""

from .convert import convert
from .describe import FileReport, describe
from .load import (
    BUILTIN,
    BUILTIN_FOLDER,
    BUILTINS,
    find_restorer,
    load_codeformer,
    load_detector,
    load_network,
    load_parser,
    load_restorer,
    load_upscaler,
    load_vqgan,
    network_from_state,
)
from .registry import KINDS, ModelKind, recognise

__all__ = [
    "BUILTIN",
    "BUILTINS",
    "BUILTIN_FOLDER",
    "KINDS",
    "FileReport",
    "ModelKind",
    "convert",
    "describe",
    "find_restorer",
    "load_codeformer",
    "load_detector",
    "load_network",
    "load_parser",
    "load_restorer",
    "load_upscaler",
    "load_vqgan",
    "network_from_state",
    "recognise",
]
