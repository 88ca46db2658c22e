"""A process that kills another one which makes no progress, whatever keeps it from doing so.

A thread of its own process would not do: Python code that holds the interpreter's lock, a stuck
driver or a stopped process would keep it from running too. Run as a script, this needs only the
standard library.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Watchdog:
    """Watches this process while it works on something."""

    def __init__(self, patience: float) -> None:
        """Start watching.

        Args:
            patience: seconds without progress after which this process is killed.
        """
        self._dog = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(patience)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # what is sent to this process's group shall not end it first
        )

    @contextmanager
    def watching(self, lane: int) -> Iterator[None]:
        """Watch the work of one of up to 100 threads; call `progress` from it."""
        self.progress(lane)
        try:
            yield
        finally:
            self._say(2 * lane)

    def progress(self, lane: int) -> None:
        """Say that a thread's work goes on."""
        self._say(2 * lane + 1)

    def _say(self, message: int) -> None:
        assert self._dog.stdin is not None
        with suppress(BrokenPipeError):  # work is worth more than being watched
            os.write(self._dog.stdin.fileno(), bytes([message]))


def watch(process: int, patience: float) -> None:
    """Read what a process says of its threads; return when it ends, or kill it."""
    due: dict[int, float] = {}
    while True:
        wait = min(due.values()) - time.monotonic() if due else None
        if wait is not None and wait <= 0:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            return
        if select.select([0], [], [], wait)[0]:
            messages = os.read(0, 1 << 16)
            if not messages:
                return
            for lane, works in (divmod(message, 2) for message in messages):
                if works:
                    due[lane] = time.monotonic() + patience
                else:
                    due.pop(lane, None)


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))
