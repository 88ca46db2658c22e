"""Files of a folder that are not restored: counted by kind, with what to do about them."""

from collections import Counter
from pathlib import PurePath

from ..images import Unread, unread_kind
from ..messages import counted

LISTED = 5
"""Endings or folders that a line names."""


class LeftOut:
    """Counts of files by kind."""

    def __init__(self) -> None:
        """Begin with none."""
        self._pictures: Counter[Unread] = Counter()
        self._others: Counter[str] = Counter()
        self._folders: list[str] = []

    def add(self, file: PurePath) -> None:
        """Count one more file."""
        kind = unread_kind(file)
        if kind is None:
            self._others[file.suffix.lower() or "no ending"] += 1
        else:
            self._pictures[kind] += 1

    def add_folder(self, error: OSError) -> None:
        """Note a folder that cannot be searched, by what went wrong."""
        self._folders.append(f"{error.filename} ({error.strerror})")

    @property
    def is_less_than_asked(self) -> bool:
        """Whether there are pictures that another package would read, or folders unseen."""
        return bool(self._folders) or any(kind.package for kind in self._pictures)

    def lines(self) -> list[str]:
        """A line for each kind of picture, one for all other files, one for folders."""
        lines = [
            f"{counted(number, 'picture')} left out: {kind.name}; {kind.remedy}"
            for kind, number in self._pictures.items()
        ]
        if self._others:
            endings = ", ".join(ending for ending, _ in self._others.most_common(LISTED))
            others = counted(self._others.total(), "other file")
            lines.append(f"{others} left out: no pictures ({endings})")
        if self._folders:
            unseen = counted(len(self._folders), "folder")
            names = ", ".join(self._folders[:LISTED])
            lines.append(f"{unseen} left out that cannot be searched: {names}")
        return lines
