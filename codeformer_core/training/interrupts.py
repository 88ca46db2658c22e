"""Ctrl-C without breaking a step in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopping_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """While inside, Ctrl-C and SIGTERM set an event instead of breaking a step in two."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may take signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
