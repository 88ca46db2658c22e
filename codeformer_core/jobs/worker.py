"""A worker of the cluster: holds the networks and does block after block."""

import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from .. import __version__
from ..addresses import Place
from ..errors import SettingError
from ..messages import describe_error
from ..people.restorer import PeopleRestorer
from ..runtime import Progress
from .block import restore_block
from .gather import Gathering
from .outcome import Outcome
from .plan import Block
from .record import Run
from .restorer import PictureRestorer
from .rows import block_of, news_row
from .starts import starting
from .watchdog import Watchdog

ROWS_OF_A_BLOCK = 16
"""In so many pieces comes the news of a block: often enough for a progress bar."""


@dataclass(frozen=True)
class Orders:
    """What a worker has to know; it comes to it as a pickle."""

    load: Callable[[], PictureRestorer]
    """Loads the networks there."""
    output: Place
    run: Run
    threads: int
    """Of the processor for one picture: as many as in one process, for the same bits."""
    patience: float
    """Seconds without progress after which a worker is killed, for another to follow it."""
    folder: Path
    """The one that paths are relative to."""
    version: str = __version__
    """Of the program that gives the orders."""


class Worker:
    """One process of the pool; called from as many threads as it has lanes."""

    def __init__(self, orders: Orders, lanes: int, workers: int = 1) -> None:
        """Load the networks; what goes wrong is told when the first block comes.

        Args:
            orders: of the whole job.
            lanes: pictures in hand at the same time, so that their faces share the passes of the
                network.
            workers: how many there are.
        """
        self._orders = orders
        self._lanes = Lanes(lanes)
        self._failure = ""
        self._watchdog = Watchdog(orders.patience)
        try:
            with self._watchdog.watching(0):
                self._restorer = self._prepare(workers)
        except Exception as error:
            self._failure = describe_error(error)

    def _prepare(self, workers: int) -> PictureRestorer:
        import torch

        orders = self._orders
        if orders.version != __version__:
            raise SettingError(
                f"a worker runs version {__version__} of this program, but the job was begun by "
                f"{orders.version}: install the same on every machine of the cluster"
            )
        with suppress(FileNotFoundError):  # then only absolute paths and addresses will do
            os.chdir(orders.folder)
        if isinstance(orders.output, Path) and not orders.output.is_dir():
            raise SettingError(
                f"{orders.output}: a worker on {socket.gethostname()} does not see this folder; "
                "give one that all machines of the cluster share, by its full path, or an address"
            )
        torch.set_num_threads(orders.threads)
        with starting(orders.run, workers):
            restorer = orders.load()
        if self._lanes.count == 1:
            return restorer
        if isinstance(restorer.network, PeopleRestorer):
            self._lanes = Lanes(1)  # it is told whom each picture shows: no pass fits two of them
            return restorer
        return replace(restorer, network=Gathering(restorer.network))

    def work(self, row: bytes) -> Iterator[str]:
        """Restore the block of a row.

        Yields:
            Rows of news, as many whatever happens: who follows a dead worker tells them all again.
        """
        block = block_of(row, self._orders.output)
        untold: list[Outcome] = []
        size, left = math.ceil(len(block.tasks) / ROWS_OF_A_BLOCK), len(block.tasks)
        failure = self._failure
        try:
            for outcome in () if failure else self._outcomes(block):
                untold.append(outcome)
                left -= 1
                if len(untold) == size and left:
                    yield news_row(untold)
                    untold = []
        except Exception as error:
            failure = describe_error(error)
        yield news_row(untold, failure)

    def _outcomes(self, block: Block) -> Iterator[Outcome]:
        notes = self._orders.run.notes(block)
        suspect = notes.tries > 1

        @contextmanager
        def steps(name: str) -> Iterator[Progress]:
            nonlocal suspect
            alone, suspect = suspect, False
            with self._lanes.take(alone) as lane, self._watchdog.watching(lane):
                yield lambda done, total: self._watchdog.progress(lane)

        return restore_block(block, self._restorer, notes, steps)


class Lanes:
    """Ways through a worker: one for a picture, or all for one that may have killed a worker.

    So that no other picture is blamed for what that one does.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free: SimpleQueue[int] = SimpleQueue()
        for lane in range(count):
            self._free.put(lane)
        self._gate = Lock()

    @contextmanager
    def take(self, alone: bool) -> Iterator[int]:
        """Wait for a lane, or for all of them."""
        with self._gate:
            lanes = [self._free.get() for _ in range(self.count if alone else 1)]
        try:
            yield lanes[0]
        finally:
            for lane in lanes:
                self._free.put(lane)
