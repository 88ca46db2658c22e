"""The work on one block of pictures, whoever does it."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ..errors import PictureError
from ..files import remove_leftovers
from ..images import DiskFullError
from ..messages import describe_error
from ..runtime.runtime import Progress
from .notes import BlockNotes
from .outcome import Outcome
from .plan import Block, Task
from .restorer import PictureRestorer

Steps = Callable[[str], AbstractContextManager[Progress]]
"""Is told the name of a picture that begins; gives what to report its steps to."""
MOST_TRIES = 3
"""Of a picture that ends its worker."""


def restore_block(
    block: Block, restorer: PictureRestorer, notes: BlockNotes, steps: Steps
) -> Iterator[Outcome]:
    """Restore pictures one after the other; a bad one does not stop the others.

    Yields:
        What became of each, in order; first of those that an earlier worker finished.

    Raises:
        DiskFullError: there is no room for a result; the other pictures would only lose their time.
    """
    finished = notes.outcomes
    yield from finished
    waiting, tries = block.tasks[len(finished) :], notes.tries
    if tries > 1:
        remove_leftovers(task.target for task in waiting if isinstance(task.target, Path))
    for task in waiting:
        outcome = _given_up(task) if tries > MOST_TRIES else _attempt(task, restorer, steps)
        tries = 1
        yield _noted(outcome, notes)


def _attempt(task: Task, restorer: PictureRestorer, steps: Steps) -> Outcome:
    try:
        with steps(task.source.name) as on_progress:
            return restorer.restore(task, on_progress)
    except DiskFullError:
        raise
    except Exception as error:
        return Outcome(task, error=describe_error(error), trace=traceback.format_exc())


def _given_up(task: Task) -> Outcome:
    why = (
        f"{task.source}: left out, because it ended or blocked the process that worked on it "
        f"{MOST_TRIES} times"
    )
    return Outcome(task, error=why)


def _noted(outcome: Outcome, notes: BlockNotes) -> Outcome:
    try:
        notes.add(outcome)
    except DiskFullError:
        raise
    except PictureError as error:
        return Outcome(outcome.task, error=describe_error(error))
    return outcome
