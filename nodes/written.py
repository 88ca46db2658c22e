"""Files that nodes have written: a node whose file is gone has to run again."""

from __future__ import annotations

from pathlib import Path

_WRITTEN: set[Path] = set()
"""Files that this process has written; a host keeps results no longer than that."""
_LOST: dict[Path, int] = {}
"""How often each of them has vanished since."""


def note(path: Path) -> None:
    """Remember a file."""
    _WRITTEN.add(path)


def fingerprint(path: Path, made_from: str) -> str:
    """Of a node that writes a file: changes with what it is made from, and when it vanishes."""
    if path in _WRITTEN and not path.exists():
        _WRITTEN.remove(path)
        _LOST[path] = _LOST.get(path, 0) + 1
    return f"{made_from} {_LOST.get(path, 0)}"
