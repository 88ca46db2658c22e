"""From an entry of a loader's list to a model the host manages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from . import foreign, host, hosted

if TYPE_CHECKING:
    from ..codeformer_core.downloads.catalogue import KnownFile

BUILT_IN = "built-in"
AUTOMATIC = "automatic"
DLIB = "dlib"
DOWNLOAD = "download "
"""How the entries of files that are not there yet begin."""
ASK = "CodeFormer.Downloads.Ask"
"""The browser part's setting: whether a click is wanted before anything is fetched."""


@dataclass(frozen=True)
class ModelKind:
    """What one loader lists."""

    folders: tuple[str, ...]
    """Folder keys of the host, in the order in which they are searched."""
    kinds: tuple[str, ...]
    """Kinds of known files that can be downloaded for it, best first."""
    special: tuple[str, ...] = ()
    """Entries that name no file."""


CODEFORMER = ModelKind(
    folders=("facerestore_models",), kinds=("codeformer", "gfpgan"), special=(BUILT_IN,)
)
DETECTOR = ModelKind(
    folders=("facedetection_models", "facedetection"),
    kinds=("retinaface_resnet50", "retinaface_mobile0.25"),
    special=(AUTOMATIC, DLIB),
)
PARSER = ModelKind(folders=("facedetection_models", "facedetection"), kinds=("parsenet", "bisenet"))
KINDS = (CODEFORMER, DETECTOR, PARSER)


# ------------------------------------------------------------------------------- entries of a list


def options(kind: ModelKind) -> list[str]:
    """Entries of the loader's list: special ones, the user's files, known downloads."""
    downloads = [_label(file) for file in _downloads(kind)]
    return [*kind.special, *host.model_files(kind.folders), *downloads]


def problem(kind: ModelKind, entry: str) -> str | None:
    """What is wrong with an entry and what to do about it; None if nothing is."""
    if entry in kind.special or _local(kind, entry) is not None:
        return None
    known = _as_download(kind, entry)
    if known is not None:
        return _unless_allowed(kind, known)
    return (
        f"'{entry}' is not there. Put it into {_folders(kind)}, or choose one of: "
        f"{', '.join(options(kind))}"
    )


def _unless_allowed(kind: ModelKind, known: KnownFile) -> str | None:
    """How to get a file that is not here; None if a run may fetch it itself."""
    if host.setting(ASK) is False:
        return None
    return (
        f"{known.name} is not on this computer ({_size(known)}, licence: {known.licence}). Press "
        f"Download in the loader node, put the file into {_folders(kind)}, or switch off 'Ask "
        "before downloading a model' in the settings"
    )


def _folders(kind: ModelKind) -> str:
    return " or ".join(map(str, host.model_folders(kind.folders)))


def convertible_files() -> list[str]:
    """The user's files that are no safetensors yet, of all kinds."""
    names = {name for kind in KINDS for name in host.model_files(kind.folders)}
    return sorted(name for name in names if not name.endswith((".safetensors", ".sft")))


def convertible_path(name: str) -> Path:
    """Where such a file lies.

    Raises:
        MissingModelError: it is not there.
    """
    from ..codeformer_core.errors import MissingModelError

    paths = (host.find_model(kind.folders, name) for kind in KINDS)
    path = next((path for path in paths if path is not None), None)
    if path is None:
        there = ", ".join(convertible_files()) or "none"
        raise MissingModelError(f"'{name}' is not there; files that can be converted: {there}")
    return path


def fingerprint(kind: ModelKind, entry: str) -> str:
    """Changes when the file behind an entry does, or becomes another."""
    path = _special(entry) if entry in kind.special else _local(kind, entry)
    return entry if path is None else f"{entry} {path} {_version(path)}"


def known_downloads() -> list[tuple[ModelKind, KnownFile]]:
    """Every file that can be downloaded, and what it is for."""
    return [(kind, file) for kind in KINDS for file in _downloads(kind)]


def is_here(kind: ModelKind, file: KnownFile) -> bool:
    """Whether a known file is in the user's folders, under any of its names."""
    return _local(kind, DOWNLOAD + file.name) is not None


def folder_for(kind: ModelKind, file: KnownFile) -> Path:
    """Where a download goes."""
    return host.download_folder(file.folder if file.folder in kind.folders else kind.folders[0])


def _downloads(kind: ModelKind) -> list[KnownFile]:
    """Known files whose content can be checked, best first."""
    from ..codeformer_core.downloads.catalogue import KNOWN_FILES

    files = [file for name in kind.kinds for file in KNOWN_FILES if file.kind == name]
    return [file for file in files if file.sha256 is not None]


def _label(file: KnownFile) -> str:
    """How a download is listed.

    It stays listed once the file is there, so that a saved workflow remains valid.
    """
    return f"{DOWNLOAD}{file.name} | {_size(file)} | {file.licence}"


def _size(file: KnownFile) -> str:
    return "size not stated" if file.bytes is None else f"{file.bytes / 1e6:.0f} MB"


def _as_download(kind: ModelKind, entry: str) -> KnownFile | None:
    """The known file an entry offers to download; size and licence in it may have been reworded."""
    if not entry.startswith(DOWNLOAD):
        return None
    name = entry.removeprefix(DOWNLOAD).split(" | ")[0]
    return next((file for file in _downloads(kind) if file.name == name), None)


def _local(kind: ModelKind, entry: str) -> Path | None:
    """The file behind an entry, if it is there, under any of its names."""
    known = _as_download(kind, entry)
    if known is None:
        files = _downloads(kind)
        known = next((file for file in files if entry in (file.name, *file.aliases)), None)
    names = [entry] if known is None else [entry, known.name, *known.aliases]
    paths = (host.find_model(kind.folders, name) for name in names)
    return next((path for path in paths if path is not None), None)


def _special(entry: str) -> Path | None:
    """The file that an entry without a name takes, if any."""
    return _best_detector() if entry == AUTOMATIC else None


def _best_detector() -> Path | None:
    """RetinaFace weights in the user's folders, also converted ones; the better network first."""
    from ..codeformer_core.models.find import find_known

    files, folders = _downloads(DETECTOR), host.model_folders(DETECTOR.folders)
    paths = (_local(DETECTOR, file.name) or find_known(file, folders) for file in files)
    return next((path for path in paths if path is not None), None)


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _file(kind: ModelKind, entry: str) -> Path:
    """The file behind an entry, downloaded if the entry says so and the settings allow it.

    Raises:
        MissingModelError: there is no such file, or a click is wanted before it is fetched.
        DownloadError: the download failed.
    """
    from ..codeformer_core.errors import MissingModelError

    path = _local(kind, entry)
    if path is not None:
        return path
    known, reason = _as_download(kind, entry), problem(kind, entry)
    if known is None or reason is not None:
        raise MissingModelError(reason)
    return _download(kind, known)


def _download(kind: ModelKind, known: KnownFile) -> Path:
    from ..codeformer_core.downloads.download import download

    host.say(f"downloading {known.name}")
    folder = folder_for(kind, known)
    try:
        path = download(known, folder, on_progress=host.Progress(), cancelled=host.cancelled)
    finally:
        # Cancel ends the download with an error of its own; for the host it is an interruption.
        host.raise_if_cancelled()
    return path


# ------------------------------------------------------------------------------------------ models

_shared: WeakValueDictionary[tuple[Any, ...], Any] = WeakValueDictionary()
"""Loaded models while anything uses them: two loaders of one file share its weights."""
_kept: dict[str, Any] = {}
"""The models that nodes fall back on; no loader in the graph keeps them for us."""


def load_codeformer(entry: str) -> hosted.HostedCodeFormer:
    """The CodeFormer behind an entry, or a face model of others that is called the same way.

    Raises:
        CodeFormerError: no such file, not a CodeFormer, damaged, or a failed download.
    """
    from ..codeformer_core.errors import CheckpointError
    from ..codeformer_core.models.load import BUILTIN, find_model, load_network
    from ..codeformer_core.networks import prepare_for_inference

    path = find_model(BUILTIN) if entry == BUILT_IN else _file(CODEFORMER, entry)

    def make() -> hosted.HostedCodeFormer | foreign.HostedFaceModel:
        try:
            operations = host.operations()
            network = load_network(
                path,
                operations=operations,
                device=host.offload_device(),
                dtype=host.network_dtype(),
            )
        except CheckpointError:
            model = foreign.load_face_model(path)
            if model is None:
                raise
            return model
        return hosted.HostedCodeFormer(prepare_for_inference(network, operations), path.stem)

    return _share(path, make)


def load_detector(entry: str) -> hosted.HostedDetector:
    """The face detector behind an entry.

    Raises:
        CodeFormerError: no such file or package, not a detector, damaged, or a failed download.
    """
    if entry == AUTOMATIC:
        return _automatic_detector()
    if entry == DLIB:
        return _keep(DLIB, lambda: _new_detector(DLIB))
    return _detector_of(_file(DETECTOR, entry))


def load_parser(entry: str) -> hosted.HostedParser:
    """The face parser behind an entry.

    Raises:
        CodeFormerError: no such file or package, not a parser, damaged, or a failed download.
    """
    from ..codeformer_core.models import load_parser as load

    path = _file(PARSER, entry)
    return _share(path, lambda: hosted.HostedParser(load(path)))


def codeformer_or_default(model: hosted.HostedCodeFormer | None) -> hosted.HostedCodeFormer:
    """What is connected, or the built-in model."""
    return model if model is not None else _keep(BUILT_IN, lambda: load_codeformer(BUILT_IN))


def detector_or_default(detector: hosted.HostedDetector | None) -> hosted.HostedDetector:
    """What is connected, or the best detector that is there.

    Raises:
        MissingModelError: there is none; the message names the choices.
    """
    return detector if detector is not None else _automatic_detector()


def identity_network() -> Any:
    """What tells people apart; on the processor, as dlib is.

    Raises:
        MissingModelError: dlib or its weights are not installed.
    """
    from ..codeformer_core.metrics import IdentityNetwork

    return _keep("identity", IdentityNetwork)


def perceptual_distance() -> hosted.HostedDistance:
    """What compares pictures as the eye does.

    Raises:
        MissingModelError: its weights are not installed.
    """
    from ..codeformer_core.metrics import EVALUATION_BACKBONE, PerceptualDistance

    return _keep(
        "perceptual", lambda: hosted.HostedDistance(PerceptualDistance(EVALUATION_BACKBONE))
    )


def _automatic_detector() -> hosted.HostedDetector:
    """RetinaFace weights in the user's folders, else dlib."""
    path = _best_detector()
    if path is None:
        # Takes dlib, or says what there could be.
        return _keep(AUTOMATIC, lambda: _new_detector("auto"))
    return _keep(f"{path} {_version(path)}", lambda: _detector_of(path))


def _detector_of(path: Path) -> hosted.HostedDetector:
    return _share(path, lambda: _new_detector(str(path)))


def _new_detector(name: str) -> hosted.HostedDetector:
    from ..codeformer_core.models.find import load_detector as load

    return hosted.HostedDetector(load(name, folders=host.model_folders(DETECTOR.folders)))


def _share(path: Path, make: Callable[[], Any]) -> Any:
    key = (path, _version(path), host.network_dtype())
    model = _shared.get(key)
    if model is None:
        model = _shared[key] = make()
    return model


def _keep(name: str, make: Callable[[], Any]) -> Any:
    if name not in _kept:
        _kept[name] = make()
    return _kept[name]
