"""One job at a time on an output folder."""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..addresses import Address, Place
from ..downloads.lock import locked
from ..errors import CodeFormerError, SettingError
from .places import create, make_place, read_bytes, remove, write_bytes

NAME = "lock"
BEAT_SECONDS = 10.0
"""Between two signs of life of a job whose lock is an object in a store."""
BEATS_TO_DIE = 3
"""Without a sign of life for so many, a job is dead."""


@contextmanager
def only_job(folder: Place) -> Iterator[None]:
    """Hold the lock of a job's record; remove a folder that stays empty.

    On a disk the system frees the lock when its holder dies. In an object store it is an object
    that its holder renews: who finds one looks whether it still is before taking it over.

    Raises:
        PictureError: the folder cannot be made, or the lock not be written.
        SettingError: another job works on this folder.
    """
    if isinstance(folder, Address):
        make_place(folder)
        with _lease(folder / NAME):
            yield
        return
    made = [path for path in (folder, folder.parent) if not path.exists()]
    make_place(folder)
    try:
        with locked(folder / NAME, lambda: _refuse(folder)):
            yield
    finally:
        with suppress(OSError):  # as a rule there are files in it by now
            for path in made:
                path.rmdir()


def _refuse(folder: Place) -> None:
    raise SettingError(
        f"{folder.parent}: another job writes into this folder; wait for its end, or choose "
        "another output folder"
    )


@contextmanager
def _lease(file: Address) -> Iterator[None]:
    me = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}"
    while not create(file, _sign(me)):
        _wait_for_silence(file)
        remove(file)
    time.sleep(BEAT_SECONDS / 10)  # who found the same silence may have removed what was created
    if not _is_mine(file, me):
        _refuse(file.parent)
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(file, me, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if _is_mine(file, me):
            remove(file)


def _wait_for_silence(file: Address) -> None:
    """Return once a lock is gone, or was not renewed; no clocks need agree for that."""
    first, start = read_bytes(file), time.monotonic()
    while first is not None and time.monotonic() < start + BEATS_TO_DIE * BEAT_SECONDS:
        time.sleep(BEAT_SECONDS / 10)
        now = read_bytes(file)
        if now is None:
            return
        if now != first:
            _refuse(file.parent)


def _renew(file: Address, me: str, done: threading.Event) -> None:
    while not done.wait(BEAT_SECONDS):
        with suppress(CodeFormerError):  # the next one may reach the store again
            if _is_mine(file, me):
                write_bytes(file, _sign(me))


def _is_mine(file: Address, me: str) -> bool:
    content = read_bytes(file)
    return content is not None and json.loads(content).get("holder") == me


def _sign(me: str) -> bytes:
    return json.dumps({"holder": me, "time": time.time()}).encode()
