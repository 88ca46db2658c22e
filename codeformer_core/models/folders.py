"""Which folders model files are looked for in, and which file a name means."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..downloads.catalogue import KnownFile, known
from ..errors import MissingModelError

FOLDERS_VARIABLE = "CODEFORMER_MODELS"
"""Environment variable with model folders, separated as in PATH."""


def model_folders(first: str | Path | None = None) -> tuple[Path, ...]:
    """Where model files are looked for, in this order.

    The folder given, those of the environment variable CODEFORMER_MODELS, and the user's cache.
    Each may also be a ComfyUI `models` folder: the usual folders inside it are looked through too.
    """
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [Path(first)] if first else []
    folders += [Path(name).expanduser() for name in named if name]
    return (*folders, cache_folder())


def cache_folder() -> Path:
    """The user's own folder for downloaded models; it need not exist."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "codeformer"


def find_known(file: KnownFile, folders: Sequence[Path]) -> Path | None:
    """Path of a known file, or of its conversion to safetensors, in the first folder with one."""
    names = [file.name, *(alias for alias in file.aliases if Path(alias).suffix == ".pth")]
    names += [str(Path(name).with_suffix(".safetensors")) for name in names]
    places = [place for folder in folders for place in (folder, folder / file.folder)]
    candidates = (place / name for place in places for name in names)
    return next((path for path in candidates if path.is_file()), None)


def find_file(name: str | Path, folders: Sequence[Path], choices: Iterable[str]) -> Path:
    """Path of a weight file.

    Args:
        name: a path, or the name of a known file.
        folders: where known files are looked for; none means `model_folders()`.
        choices: names that would do.

    Raises:
        MissingModelError: there is no such file; the message says how to get it, or names the
            choices.
    """
    if Path(name).exists():
        return Path(name)
    folders = folders or model_folders()
    file = known(str(name))
    path = find_known(file, folders) if file else None
    if path:
        return path
    file = file or known(Path(name).name)
    listed = ", ".join(map(str, folders))
    if file:
        raise MissingModelError(
            f"{name}: there is no such file, nor is it in {listed}; run: codeformer download "
            f"{file.name} (licence: {file.licence})"
        )
    raise MissingModelError(f"{name}: there is no such file; choose one of {', '.join(choices)}")
