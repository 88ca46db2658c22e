"""The engine of one process: a picture after the other."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from ..images import DiskFullError
from ..messages import describe_error
from ..runtime.runtime import Progress
from .outcome import Outcome
from .plan import Task
from .record import Record
from .restorer import Restorer

Steps = Callable[[str], AbstractContextManager[Progress]]
"""Shows the steps of one picture, whose name it is given."""


def restore_all(
    tasks: Iterable[Task], restorer: Restorer, record: Record, steps: Steps
) -> Iterator[Outcome]:
    """Restore pictures and note those that are finished; a bad one does not stop the others.

    Yields:
        What became of each, in order.

    Raises:
        DiskFullError: there is no room for a result.
    """
    for task in tasks:
        try:
            with steps(task.source.name) as on_progress:
                outcome = restorer.restore(task, on_progress)
            record.add(task)
        except DiskFullError:  # the others would only lose their time
            raise
        except Exception as error:
            outcome = Outcome(task, error=describe_error(error), trace=traceback.format_exc())
        yield outcome
