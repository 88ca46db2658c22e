"""The user's personal adapters: what is listed, and which file each entry means."""

from __future__ import annotations

from pathlib import Path

from . import choices, host

ADAPTERS = ("facerestore_adapters",)
"""Folder key of personal adapters."""
NO_ADAPTER = "no adapter yet"
"""The entry of an empty list, which the browser would show as undefined."""


def listed() -> list[str]:
    """The user's personal adapters."""
    return [name for name in host.model_files(ADAPTERS) if name.endswith(".safetensors")]


def problem(name: str) -> str | None:
    """What is wrong with the name of an adapter; None if nothing is."""
    if host.find_model(ADAPTERS, name) is not None:
        return None
    folders = " or ".join(map(str, host.model_folders(ADAPTERS)))
    there = ", ".join(listed()) or "none"
    return f"'{name}' is not in {folders}: make one with Personalize; there: {there}"


def path_of(name: str) -> Path:
    """Where an adapter lies.

    Raises:
        MissingModelError: it is not there.
    """
    from ..codeformer_core.errors import MissingModelError

    path = host.find_model(ADAPTERS, name)
    if path is None:
        raise MissingModelError(problem(name))
    return path


def new_adapter(name: str) -> Path:
    """Where an adapter of this name is to be written.

    Raises:
        SettingError: it cannot be a file's name.
    """
    from ..codeformer_core.errors import SettingError

    stem = name.strip().removesuffix(".safetensors")
    if not stem or stem != Path(stem).name or stem.startswith(".") or set(stem) & set('\\/:*?"<>|'):
        raise SettingError(f"{name!r} is no name for an adapter: use letters, digits, - and _")
    folder = host.download_folder(ADAPTERS[0])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stem}.safetensors"


def base_path(entry: str) -> Path:
    """The file behind an entry of the list of restorers, downloaded if the settings allow it.

    Raises:
        MissingModelError: there is no such file, or a click is wanted before it is fetched.
        DownloadError: the download failed.
    """
    from ..codeformer_core.models.load import find_restorer

    built_in = choices.BUILT_IN_MODELS.get(entry)
    return find_restorer(built_in) if built_in else choices.RESTORERS.path_of(entry)
