"""What belongs to each open page: its files, and the jobs it waits for."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from ..errors import CodeFormerError
from ..runtime import Progress


class StoppedError(CodeFormerError):
    """A job that nobody waits for any more."""


class Sessions:
    """Pages are told apart by what Gradio calls a session; nobody sees another one's files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._jobs: dict[str, set[Event]] = {}

    def ask(self, session: str) -> Event:
        """Ask for a job, which may have to wait: the event says that it is no longer wanted."""
        stop = Event()
        self._jobs.setdefault(session, set()).add(stop)
        return stop

    @contextmanager
    def at_work(self, session: str, stop: Event) -> Iterator[Path]:
        """While a job runs: a folder for its result, gone if nobody wants it in the end."""
        folder = self._folder(session) / uuid.uuid4().hex
        try:
            yield folder
        finally:
            self._jobs.get(session, set()).discard(stop)
            if stop.is_set():
                shutil.rmtree(folder, ignore_errors=True)

    def drop(self, session: str, stop: Event) -> None:
        """End one job."""
        stop.set()
        self._jobs.get(session, set()).discard(stop)

    def stop(self, session: str) -> bool:
        """End all that a session has asked for, at work or waiting; whether there was anything."""
        jobs = list(self._jobs.pop(session, ()))
        for stop in jobs:
            stop.set()
        return bool(jobs)

    def forget(self, session: str) -> None:
        """End all that a session has asked for, and delete what was made for it."""
        self.stop(session)
        shutil.rmtree(self._folder(session), ignore_errors=True)

    def _folder(self, session: str) -> Path:
        # The name comes from the page, and could be a path.
        return self._root / uuid.uuid5(uuid.NAMESPACE_OID, session).hex


def stoppable(stop: Event, report: Progress) -> Progress:
    """Report progress until a job is no longer wanted."""

    def told(done: int, total: int) -> None:
        if stop.is_set():
            raise StoppedError("stopped")
        report(done, total)

    return told
