"""The engine of one process: a block of pictures after the other."""

from collections.abc import Generator

from .block import Steps, restore_block
from .outcome import Outcome
from .plan import Plan
from .record import Run
from .restorer import PictureRestorer


def restore_all(
    plan: Plan, restorer: PictureRestorer, run: Run, steps: Steps
) -> Generator[Outcome, None, None]:
    """Restore what waits in a plan.

    Yields:
        What became of each picture, in order.

    Raises:
        DiskFullError: there is no room for a result.
        PictureError: the record cannot be written.
    """
    for block in plan.blocks():
        yield from restore_block(block, restorer, run.notes(block), steps)
