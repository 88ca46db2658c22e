"""What became of the pictures of a run, in words."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..addresses import Place
from ..messages import counted
from ..video.names import is_video
from .left_out import LeftOut
from .outcome import Outcome


@dataclass
class NoteGroup:
    """Notes that differ only in numbers, as one: a million pictures can have the same to say."""

    source: str
    """The first of the pictures, by name..."""
    note: str
    """...and what is to be known of it."""
    pictures: int = 1

    def add(self, source: str, note: str) -> None:
        """Count one more of them."""
        self.pictures += 1
        self.source, self.note = min((self.source, self.note), (source, note))

    def __str__(self) -> str:
        more = counted(self.pictures - 1, "more picture")
        also = f" (and so in {more})" if self.pictures > 1 else ""
        return _about(self.source, self.note) + also


@dataclass
class Report:
    """Filled while the pictures are restored, in any order, and shown at the end, sorted."""

    total: int
    """Pictures the user asked for."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """Files of folders that are no pictures, or of a kind that cannot be read."""
    enlarges: bool = False
    """Whether pictures without a face change, too."""
    earlier: int = 0
    """Of what follows, finished by an earlier run."""
    restored: int = 0
    """With at least one face."""
    faces: int = 0
    """In all pictures together."""
    faceless: int = 0
    """Without a face that was restored."""
    notes: dict[str, NoteGroup] = field(default_factory=dict)
    """What the user should know of the pictures, by the words that they have in common."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Why a picture could not be restored."""

    thing: str = "picture"
    """What the files are called; with a video among them they are just files."""

    def add(self, outcome: Outcome) -> None:
        """Count what became of one more picture."""
        source = str(outcome.task.source)
        if is_video(PurePosixPath(outcome.task.result)):
            self.thing = "file"
        if outcome.error:
            self.failures.append((source, outcome.error))
            return
        for note in outcome.notes:
            words = re.sub(r"\d+", "#", note.replace(source, ""))
            if words in self.notes:
                self.notes[words].add(source, note)
            else:
                self.notes[words] = NoteGroup(source, note)
        self.faces += outcome.faces
        self.restored += outcome.faces > 0
        self.faceless += outcome.faces == 0

    def take_over(self, outcome: Outcome) -> None:
        """Count what became of a picture in an earlier run."""
        self.earlier += 1
        self.add(outcome)

    @property
    def is_whole(self) -> bool:
        """Whether every picture that could be restored was."""
        return not self.failures and not self.left_out.lacks_package

    def summary(self, output: Place) -> str:
        """Everything but the failures, in several lines."""
        done = f"{self.restored} of {counted(self.total, self.thing)} restored"
        lines = [f"{done} ({counted(self.faces, 'face')}): {output}"]
        if self.faceless:
            fate = "only enlarged" if self.enlarges else "taken over unchanged"
            lines.append(f"{self.faceless} without a face to restore, {fate}")
        if self.earlier:
            lines.append(f"finished by an earlier run: {self.earlier}")
        waiting = self.total - self.restored - self.faceless - len(self.failures)
        if waiting:
            lines.append(f"{waiting} not done; --resume goes on from here")
        lines += self.left_out.lines()
        groups = sorted(self.notes.values(), key=lambda group: (group.source, group.note))
        return "\n".join([*lines, *(f"note: {group}" for group in groups)])

    def failure_list(self) -> str:
        """The pictures that failed, one a line; empty if none did."""
        if not self.failures:
            return ""
        lines = [f"  {_about(source, message)}" for source, message in sorted(self.failures)]
        return "\n".join([f"{counted(len(lines), self.thing)} failed:", *lines])


def _about(source: str, message: str) -> str:
    """A message that names its file once."""
    return message if source in message else f"{source}: {message}"
