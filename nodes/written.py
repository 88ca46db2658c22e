"""Files that nodes have written: a node whose file is gone has to run again."""

from __future__ import annotations

from pathlib import Path

_WRITTEN: set[Path] = set()
"""By this process, as long as which a host keeps results."""


def note(path: Path) -> None:
    """Remember a file."""
    _WRITTEN.add(path)


def fingerprint(path: Path, made_from: str) -> str | float:
    """Of a node that writes a file: changes with what it is made from, and where it is gone."""
    return float("nan") if path in _WRITTEN and not path.exists() else made_from
