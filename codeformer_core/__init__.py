"""CodeFormer: restore faces in photos, and everything needed to train and measure it.

The public interface, all a caller normally needs:

    network = load_codeformer("builtin")          # or a path, .safetensors or .pth
    detector = load_detector("auto")
    result = restore_image(image, network, detector, fidelity=0.5)
    result.image, result.mask, result.faces, result.warnings

`network.size` is the side of its crops, and `network(crops, fidelity=..., adain=...)` restores
aligned crops (N, 3, S, S) in -1..1. Whatever goes wrong on purpose is a `CodeFormerError`.

Importing this package loads nothing: names are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import read_version

if TYPE_CHECKING:
    from .errors import (
        CheckpointError,
        CodeFormerError,
        DownloadError,
        MissingModelError,
        OutOfMemoryError,
        PictureError,
        SettingError,
    )
    from .faces import Face, Faces, PasteOptions
    from .images import Picture, read_picture, write_picture
    from .models import load_codeformer, load_detector, load_upscaler
    from .networks import CodeFormer, CodeFormerConfig, VQGANConfig
    from .pipeline import RestoredImage, restore_crops, restore_image

__version__ = read_version()

__all__ = [
    "CheckpointError",
    "CodeFormer",
    "CodeFormerConfig",
    "CodeFormerError",
    "DownloadError",
    "Face",
    "Faces",
    "MissingModelError",
    "OutOfMemoryError",
    "PasteOptions",
    "Picture",
    "PictureError",
    "RestoredImage",
    "SettingError",
    "VQGANConfig",
    "load_codeformer",
    "load_detector",
    "load_upscaler",
    "read_picture",
    "restore_crops",
    "restore_image",
    "write_picture",
]

_HOMES = {
    "CheckpointError": "errors",
    "CodeFormer": "networks",
    "CodeFormerConfig": "networks",
    "CodeFormerError": "errors",
    "DownloadError": "errors",
    "Face": "faces",
    "Faces": "faces",
    "MissingModelError": "errors",
    "OutOfMemoryError": "errors",
    "PasteOptions": "faces",
    "Picture": "images",
    "PictureError": "errors",
    "RestoredImage": "pipeline",
    "SettingError": "errors",
    "VQGANConfig": "networks",
    "load_codeformer": "models",
    "load_detector": "models",
    "load_upscaler": "models",
    "read_picture": "images",
    "restore_crops": "pipeline",
    "restore_image": "pipeline",
    "write_picture": "images",
}
"""Module each public name is imported from when it is first asked for."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted({*globals(), *__all__})
