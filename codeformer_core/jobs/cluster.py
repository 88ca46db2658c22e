"""The engine of many processes: Ray Data hands blocks of pictures to a pool of workers.

Rows carry paths only. A worker holds the networks, reads, restores and writes; it notes itself
what it has finished, so that who follows it goes on at the very picture if it dies, and so does
any other engine.
"""

import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any

from ..addresses import ONE_PROCESS, Address, Place
from ..errors import CodeFormerError, SettingError
from .foreman import SECONDS_TO_END, Cluster, ClusterError, main
from .outcome import Outcome
from .parts import in_rounds
from .plan import Block, Plan
from .rows import block_row, news_of
from .worker import Orders

LAST_WORDS = 2
"""Lines of what Ray wrote that are shown when it ends without a reason."""


class JobEndedError(CodeFormerError):
    """The job cannot go on, with any worker."""


def restore_on_cluster(
    plan: Plan, orders: Orders, cluster: Cluster
) -> Generator[Outcome, None, None]:
    """Restore what waits in a plan.

    Yields:
        What became of each picture, in any order.

    Raises:
        ClusterError: Ray has ended.
        JobEndedError: no Ray answers or has room, or a worker cannot go on and no other one could.
    """
    with _foreman() as (process, last_words):
        _send((cluster, pickle.dumps(orders)), process)
        yield from in_rounds(plan, partial(_work, process, plan.output, last_words))
        _send([], process)


def _work(
    process: Any, output: Place, last_words: Callable[[], str], blocks: Iterable[Block]
) -> Iterator[Outcome]:
    """Have some blocks done."""
    _send(list(map(block_row, blocks)), process)
    for line in process.stdout:
        told = json.loads(line)
        if isinstance(told, dict):
            if told["end"]:
                raise JobEndedError(told["end"])
            return
        outcomes, fatal = news_of(told, output)
        yield from outcomes
        if fatal:
            raise JobEndedError(fatal)
    raise ClusterError(f"Ray has ended; --resume goes on from here. {last_words()}".rstrip())


def _send(words: object, process: Any) -> None:
    with suppress(BrokenPipeError):  # whoever reads its answers will find that it has ended
        pickle.dump(words, process.stdin)
        process.stdin.flush()


def check_shared(places: Iterable[Place]) -> None:
    """Raise a SettingError for a place that no other process sees."""
    for each in places:
        if isinstance(each, Address) and each.protocol == ONE_PROCESS:
            raise SettingError(f"{each}: no other process sees this place; --cluster needs one")


@contextmanager
def _foreman() -> Iterator[tuple[Any, Any]]:
    """The process that speaks with Ray, and what tells what it wrote last."""
    with tempfile.TemporaryFile("w+b") as words:
        process = subprocess.Popen(
            # Not as a script, whose classes its workers could not import.
            [sys.executable, "-c", f"from {main.__module__} import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,  # Ctrl-C is for the command, which ends it in good order
        )
        try:
            yield process, lambda: _tail(words)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(2 * SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(words: IO[bytes]) -> str:
    words.seek(0)
    lines = words.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-LAST_WORDS:])
