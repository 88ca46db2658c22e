"""What became of one picture."""

from dataclasses import dataclass

from .plan import Frames, Task


@dataclass(frozen=True)
class Outcome:
    """What became of one picture; plain values, so that it can come from another process."""

    task: Task
    faces: int = 0
    """Restored in it."""
    notes: tuple[str, ...] = ()
    """What the user should know of it."""
    error: str = ""
    """Why it could not be restored, in the user's words; empty if it was."""
    trace: str = ""
    """Where the error came from."""
    parts: tuple[Frames, ...] = ()
    """Of a long video that was only looked through: what others may restore at the same time."""

    @property
    def is_final(self) -> bool:
        """Whether nothing of the picture or video is left to do."""
        return not (self.parts or self.task.is_part)
