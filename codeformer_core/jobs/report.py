"""What became of the pictures of a run, in words."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..addresses import Place
from ..messages import counted
from .left_out import LeftOut
from .outcome import Outcome

GO_ON = "--resume goes on from here"


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

    def told(self, thing: str) -> str:
        """In words, of pictures or whatever the files are called."""
        more = counted(self.pictures - 1, f"more {thing}")
        also = f" (and so in {more})" if self.pictures > 1 else ""
        return _about(self.source, self.note) + also


@dataclass
class Report:
    """Filled while the pictures are restored, in any order, and shown at the end, sorted."""

    total: int
    """Pictures and videos the user asked for."""
    videos: int = 0
    """Of these."""
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
    stopped: list[tuple[str, int]] = field(default_factory=list)
    """Videos whose work was broken off, and how many frames of each are restored."""

    @property
    def thing(self) -> str:
        """What one of the files is called."""
        if self.videos in (0, self.total):
            return "video" if self.videos else "picture"
        return "file"

    @property
    def waiting(self) -> int:
        """How many nothing became of."""
        return self.total - self.restored - self.faceless - len(self.failures)

    def add(self, outcome: Outcome) -> None:
        """Count what became of one more picture."""
        source = str(outcome.task.source)
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

    def note_stopped(self, videos: Iterable[tuple[str, int]]) -> None:
        """Note videos that are not finished, with how many of their frames are restored."""
        failed = {source for source, _ in self.failures}
        self.stopped = [video for video in videos if video[0] not in failed]

    @property
    def is_whole(self) -> bool:
        """Whether every picture that could be restored was."""
        return not self.failures and not self.left_out.is_less_than_asked

    def summary(self, output: Place) -> str:
        """Everything but the failures, in several lines."""
        lines: list[str] = []
        if self.waiting < self.total:
            done = f"{self.restored} of {counted(self.total, self.thing)} restored"
            lines.append(f"{done} ({counted(self.faces, 'face')}): {output}")
        if self.faceless:
            fate = "only enlarged" if self.enlarges else "taken over unchanged"
            lines.append(f"{self.faceless} without a face to restore, {fate}")
        if self.earlier:
            lines.append(f"finished by an earlier run: {self.earlier}")
        lines += self._unfinished()
        lines += self.left_out.lines()
        groups = sorted(self.notes.values(), key=lambda group: (group.source, group.note))
        return "\n".join([*lines, *(f"note: {group.told(self.thing)}" for group in groups)])

    def _unfinished(self) -> Iterator[str]:
        for source, frames in sorted(self.stopped):
            yield f"{source}: stopped with {counted(frames, 'frame')} restored; {GO_ON}"
        untouched = self.waiting - len(self.stopped)
        if untouched:
            yield f"{untouched} not done; {GO_ON}"

    def failure_list(self) -> str:
        """The pictures that failed, one a line; empty if none did."""
        if not self.failures:
            return ""
        lines = [f"  {_about(source, message)}" for source, message in sorted(self.failures)]
        return "\n".join([f"{counted(len(lines), self.thing)} failed:", *lines])


def _about(source: str, message: str) -> str:
    """A message that names its file once."""
    return message if source in message else f"{source}: {message}"
