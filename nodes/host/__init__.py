"""Everything that touches the host: folders, memory, progress, Cancel, messages, routes."""

from .folders import (
    download_folder,
    find_model,
    graph_files,
    model_files,
    model_folders,
    preview_file,
    register_folders,
    setting,
)
from .messages import cancelled, raise_if_cancelled, say, warn
from .progress import ProgressBar
from .runtime import HostRuntime, network_dtype, offload_device, operations, to_output
from .upscaling import upscaler
from .videos import as_video, file_of, working_folder
from .windows import leave, recall

__all__ = [
    "HostRuntime",
    "ProgressBar",
    "as_video",
    "cancelled",
    "download_folder",
    "file_of",
    "find_model",
    "graph_files",
    "leave",
    "model_files",
    "model_folders",
    "network_dtype",
    "offload_device",
    "operations",
    "preview_file",
    "raise_if_cancelled",
    "recall",
    "register_folders",
    "say",
    "setting",
    "to_output",
    "upscaler",
    "warn",
    "working_folder",
]
