"""What became of the pictures of a run, in words."""

import re
from dataclasses import dataclass, field

from ..addresses import Place
from ..messages import counted
from .left_out import LeftOut
from .outcome import Outcome


@dataclass
class Report:
    """Filled while the pictures are restored, shown at the end."""

    total: int
    """Pictures the user asked for."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """Files of folders that are no pictures, or of a kind that cannot be read."""
    skipped: int = 0
    """Left out because an earlier run finished them."""
    restored: int = 0
    """With at least one face."""
    faces: int = 0
    """In all pictures together."""
    faceless: int = 0
    """Without a face."""
    notes: list[tuple[Place, str]] = field(default_factory=list)
    """What the user should know of a picture."""
    failures: list[tuple[Place, str]] = field(default_factory=list)
    """Why a picture could not be restored."""

    def add(self, outcome: Outcome) -> None:
        """Count what became of one more picture."""
        source = outcome.task.source
        if outcome.error:
            self.failures.append((source, outcome.error))
            return
        self.notes += [(source, note) for note in outcome.notes]
        self.faces += outcome.faces
        self.restored += outcome.faces > 0
        self.faceless += outcome.faces == 0

    @property
    def is_whole(self) -> bool:
        """Whether every picture that could be restored was."""
        return not self.failures and not self.left_out.lacks_package

    def summary(self, output: Place) -> str:
        """Everything but the failures, in several lines."""
        done = f"{self.restored} of {counted(self.total, 'picture')} restored"
        lines = [f"{done} ({counted(self.faces, 'face')}): {output}"]
        if self.faceless:
            lines.append(f"{self.faceless} without a face, taken over unchanged")
        if self.skipped:
            lines.append(f"{self.skipped} left out: finished by an earlier run")
        waiting = self.total - self.skipped - self.restored - self.faceless - len(self.failures)
        if waiting:
            lines.append(f"{waiting} not done; --resume goes on from here")
        lines += self.left_out.lines()
        return "\n".join([*lines, *(f"note: {note}" for note in _grouped(self.notes))])

    def failure_list(self) -> str:
        """The pictures that failed, one a line; empty if none did."""
        if not self.failures:
            return ""
        lines = [f"  {_about(source, message)}" for source, message in self.failures]
        return "\n".join([f"{counted(len(lines), 'picture')} failed:", *lines])


def _about(source: Place, message: str) -> str:
    """A message that names its file once."""
    return message if str(source) in message else f"{source}: {message}"


def _grouped(notes: list[tuple[Place, str]]) -> list[str]:
    """Notes that differ only in numbers as one, so that a large folder stays readable."""
    groups: dict[str, list[tuple[Place, str]]] = {}
    for source, note in notes:
        groups.setdefault(re.sub(r"\d+", "#", note), []).append((source, note))
    lines: list[str] = []
    for (source, note), *others in groups.values():
        also = f" (and so in {counted(len(others), 'more picture')})" if others else ""
        lines.append(_about(source, note) + also)
    return lines
