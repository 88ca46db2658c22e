"""The entries of the loaders' lists: what they are, and which file each one means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import host

if TYPE_CHECKING:
    from ..codeformer_core.downloads.catalogue import KnownFile
    from ..codeformer_core.models.registry import Role

BUILT_IN = "built-in"
"""The model that comes with the pack."""
BUILT_IN_COLORIZATION = "built-in colorization"
BUILT_IN_MODELS = {BUILT_IN: "builtin", BUILT_IN_COLORIZATION: "builtin_colorization"}
"""That and its variant, by the library's names."""
AUTOMATIC = "automatic"
OWN_DETECTOR = "yunet"
"""The detector that comes with the pack."""
FORMER_DETECTOR = "dlib"
"""Which it has replaced in workflows of before."""
DOWNLOAD = "download "
"""How the entries of files that are not there yet begin."""
ASK = "CodeFormer.Downloads.Ask"
"""The browser part's setting: whether a click is wanted before anything is fetched."""


@dataclass(frozen=True)
class Choices:
    """What one loader lists."""

    role: Role
    """What its models do; the known files that do it can be downloaded."""
    folders: tuple[str, ...]
    """Folder keys of the host, in the order in which they are searched."""
    special: tuple[str, ...] = ()
    """Entries that name no file."""
    former: tuple[str, ...] = ()
    """Such entries of before: no longer listed, but they still run."""
    graphs: bool = False
    """Whether ONNX graphs are models of this list."""

    def options(self) -> list[str]:
        """Entries of the list: special ones, the user's files, known downloads."""
        downloads = [_label(file) for file in self.downloads()]
        graphs = host.graph_files(self.folders) if self.graphs else []
        return [*self.special, *sorted([*host.model_files(self.folders), *graphs]), *downloads]

    def problem(self, entry: str) -> str | None:
        """What is wrong with an entry and what to do about it; None if nothing is."""
        if self._is_special(entry) or self._local(entry) is not None:
            return None
        known = self._as_download(entry)
        if known is not None:
            return self._unless_allowed(known)
        return (
            f"'{entry}' is not there. Put it into {self._listed_folders()}, or choose one of: "
            f"{', '.join(self.options())}"
        )

    def fingerprint(self, entry: str) -> str:
        """Changes when the file behind an entry does, or becomes another."""
        if self._is_special(entry):
            path = best_detector() if entry == AUTOMATIC else None
        else:
            path = self._local(entry)
        return entry if path is None else f"{entry} {path} {version(path)}"

    def path_of(self, entry: str) -> Path:
        """The file behind an entry, downloaded if the entry says so and the settings allow it.

        Raises:
            MissingModelError: there is no such file, or a click is wanted before it is fetched.
            DownloadError: the download failed.
        """
        from ..codeformer_core.errors import MissingModelError

        path = self._local(entry)
        if path is not None:
            return path
        known, reason = self._as_download(entry), self.problem(entry)
        if known is None or reason is not None:
            raise MissingModelError(reason)
        return _download(known, self.folder_for(known))

    def downloads(self) -> list[KnownFile]:
        """Known files whose content can be checked, best first."""
        from ..codeformer_core.models.load import known_files

        return [file for file in known_files(self.role) if file.sha256 is not None]

    def is_here(self, file: KnownFile) -> bool:
        """Whether a known file is in the user's folders, under any of its names."""
        return self._local(DOWNLOAD + file.name) is not None

    def folder_for(self, file: KnownFile) -> Path:
        """Where a download goes."""
        return host.download_folder(file.folder if file.folder in self.folders else self.folders[0])

    def _is_special(self, entry: str) -> bool:
        return entry in (*self.special, *self.former)

    def _unless_allowed(self, known: KnownFile) -> str | None:
        """How to get a file that is not here; None if a run may fetch it itself."""
        if host.setting(ASK) is False:
            return None
        return (
            f"{known.name} is not on this computer ({_size(known)}, licence: {known.licence}). "
            f"Press Download in the loader node, put the file into {self._listed_folders()}, or "
            "switch off 'Ask before downloading a model' in the settings"
        )

    def _listed_folders(self) -> str:
        return " or ".join(map(str, host.model_folders(self.folders)))

    def _as_download(self, entry: str) -> KnownFile | None:
        """The known file an entry offers, or is the short name of.

        Its size and licence may have been reworded since a workflow was saved.
        """
        files = self.downloads()
        if not entry.startswith(DOWNLOAD):
            return next((file for file in files if entry in file.aliases), None)
        name = entry.removeprefix(DOWNLOAD).split(" | ")[0]
        return next((file for file in files if file.name == name), None)

    def _local(self, entry: str) -> Path | None:
        """The file behind an entry, if it is there, under any of its names."""
        known = self._as_download(entry)
        if known is None:
            files = self.downloads()
            known = next((file for file in files if entry in (file.name, *file.aliases)), None)
        names = [entry] if known is None else [entry, known.name, *known.aliases]
        paths = (host.find_model(self.folders, name) for name in names)
        return next((path for path in paths if path is not None), None)


RESTORERS = Choices("restorer", ("facerestore_models",), tuple(BUILT_IN_MODELS), graphs=True)
DETECTORS = Choices(
    "detector",
    ("facedetection_models", "facedetection"),
    (AUTOMATIC, OWN_DETECTOR),
    (FORMER_DETECTOR,),
)
PARSERS = Choices("parser", ("facedetection_models", "facedetection"))
ALL = (RESTORERS, DETECTORS, PARSERS)


def known_downloads() -> list[tuple[Choices, KnownFile]]:
    """Every file that can be downloaded, and the list it is in."""
    return [(choices, file) for choices in ALL for file in choices.downloads()]


def best_detector() -> Path | None:
    """Detector weights in the user's folders, also converted ones; the better network first."""
    from ..codeformer_core.models.folders import find_known
    from ..codeformer_core.models.load import automatic_detectors

    folders = host.model_folders(DETECTORS.folders)
    paths = (
        DETECTORS._local(file.name)  # pyright: ignore[reportPrivateUsage]
        or find_known(file, folders)
        for file in automatic_detectors()
    )
    return next((path for path in paths if path is not None), None)


def convertible_files() -> list[str]:
    """The user's files that are no safetensors yet, of all kinds."""
    names = {name for choices in ALL for name in host.model_files(choices.folders)}
    return sorted(name for name in names if not name.endswith((".safetensors", ".sft")))


def convertible(name: str) -> Path | None:
    """Where such a file lies; None if it is not there."""
    paths = (host.find_model(choices.folders, name) for choices in ALL)
    return next((path for path in paths if path is not None), None)


def convertible_path(name: str) -> Path:
    """Where such a file lies.

    Raises:
        MissingModelError: it is not there.
    """
    from ..codeformer_core.errors import MissingModelError

    path = convertible(name)
    if path is None:
        there = ", ".join(convertible_files()) or "none"
        raise MissingModelError(f"'{name}' is not there; files that can be converted: {there}")
    return path


def version(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _label(file: KnownFile) -> str:
    """How a download is listed.

    It stays listed once the file is there, so that a saved workflow remains valid.
    """
    return f"{DOWNLOAD}{file.name} | {_size(file)} | {file.licence}"


def _size(file: KnownFile) -> str:
    return "size not stated" if file.bytes is None else f"{file.bytes / 1e6:.0f} MB"


def _download(known: KnownFile, folder: Path) -> Path:
    from ..codeformer_core.downloads.download import download

    host.say(f"downloading {known.name}")
    try:
        path = download(known, folder, on_progress=host.ProgressBar(), cancelled=host.cancelled)
    finally:
        # Cancel ends the download with an error of its own; for the host it is an interruption.
        host.raise_if_cancelled()
    return path
