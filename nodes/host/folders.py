"""The host's folders: model files, previews, the user's settings."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import folder_paths

FOLDERS = {
    "facerestore_models": "facerestore_models",
    "facedetection_models": "facedetection",
    "facedetection": "facedetection",
    "facerestore_adapters": "facerestore_adapters",
}
"""Folder keys that users of other packs already have, and their folder below `models`."""

EXTENSIONS = frozenset({".safetensors", ".sft", ".pth", ".pt", ".ckpt"})
"""Weight files we list."""
GRAPH = ".onnx"
"""Graphs, which the lists of the restorers have too."""


def register_folders() -> None:
    """Make our model folders known without taking anything from entries that are already there."""
    for key, folder in FOLDERS.items():
        path = str(Path(folder_paths.models_dir) / folder)
        if key in folder_paths.folder_names_and_paths:
            folder_paths.add_model_folder_path(key, path)
        else:
            # Not `add_model_folder_path`: it gives a new key no extensions and so lists every file.
            folder_paths.folder_names_and_paths[key] = ([path], set(EXTENSIONS))


def model_files(keys: Iterable[str]) -> list[str]:
    """Weight files below the folders of these keys, as names relative to them, without repeats."""
    names = {name for key in keys for name in folder_paths.get_filename_list(key)}
    return sorted(name for name in names if Path(name).suffix.lower() in EXTENSIONS)


def graph_files(keys: Iterable[str]) -> list[str]:
    """ONNX graphs there; the host lists them only if who named a folder first has said so."""
    found = (folder_paths.recursive_search(str(folder), [".git"])[0] for folder in _there(keys))
    return sorted({name for names in found for name in names if name.lower().endswith(GRAPH)})


def _there(keys: Iterable[str]) -> list[Path]:
    return [folder for folder in model_folders(keys) if folder.is_dir()]


def find_model(keys: Iterable[str], name: str) -> Path | None:
    """Full path of a listed weight file, or None."""
    for key in keys:
        path = folder_paths.get_full_path(key, name)
        if path is not None:
            return Path(path)
    return None


def model_folders(keys: Iterable[str]) -> list[Path]:
    """The user's folders of these keys."""
    listed = (folder for key in keys for folder in folder_paths.get_folder_paths(key))
    return [Path(folder) for folder in dict.fromkeys(listed)]


def download_folder(key: str) -> Path:
    """Where a download of this kind goes: the user's first folder for it."""
    return Path(folder_paths.get_folder_paths(key)[0])


def preview_file(suffix: str) -> tuple[Path, dict[str, str]]:
    """A new file among the previews, which the host clears, and how the browser asks for it."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    name = f"codeformer_{uuid.uuid4().hex}{suffix}"
    return folder / name, {"filename": name, "subfolder": "", "type": "temp"}


def setting(name: str) -> Any:
    """What the user changed a setting of the browser to; None where it was left alone.

    A run does not say whose it is: of several users it is the default one's.
    """
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")).get(name)
    except (OSError, ValueError):
        return None
