"""Long videos of a job that several work on: one looks through them, all restore, one joins."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from itertools import count

from .outcome import Outcome
from .plan import JOIN, Block, Plan, Task

Work = Callable[[Iterable[Block]], Iterator[Outcome]]
"""Does some blocks, in any order; gives what became of their tasks."""


def in_rounds(plan: Plan, work: Work) -> Generator[Outcome, None, None]:
    """Do what waits in a plan, then the parts of its long videos, then join those.

    In rounds, because no worker should wait, with networks in memory, for what another one does.

    Yields:
        What became of each picture and video, in any order.
    """
    numbers = count()  # go on from round to round: each block has notes of its own
    groups: Iterable[tuple[Task, ...]] = (block.tasks for block in plan.blocks())
    while groups:
        videos = _Videos()
        for outcome in work(Block(next(numbers), tasks) for tasks in groups):
            yield from (outcome,) if outcome.is_final else videos.take(outcome)
        groups = [(task,) for task in videos.tasks()]


class _Videos:
    """What is left to do of long videos after a round."""

    def __init__(self) -> None:
        self._tasks: dict[str, list[Task]] = {}
        self._failed: set[str] = set()

    def take(self, outcome: Outcome) -> Iterator[Outcome]:
        """Take what became of the first look or a part; if that failed, so has the whole video."""
        task = outcome.task
        if outcome.error and task.result not in self._failed:
            self._failed.add(task.result)
            yield replace(outcome, task=replace(task, frames=None))
        next_ones = outcome.parts or [JOIN]
        self._tasks[task.result] = [replace(task, frames=frames) for frames in next_ones]

    def tasks(self) -> list[Task]:
        """Those of the next round."""
        whole = (tasks for result, tasks in self._tasks.items() if result not in self._failed)
        return [task for tasks in whole for task in tasks]
