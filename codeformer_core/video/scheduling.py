"""Keep encoders from putting this process before all others."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """Hold while an encoder opens: the caller and its new threads then run as the caller did.

    SVT-AV1 makes the calling thread and its own real-time ones (SCHED_FIFO, 99) where it is allowed
    to, as root. All processes that are started later inherit that, and whatever waits in a loop
    then halts the machine.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        yield
    finally:
        for thread in {threading.get_native_id(), *(_threads() - before)}:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(each.name) for each in Path("/proc/self/task").iterdir()}
