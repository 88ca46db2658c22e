"""One process or thread at a time: a lock file that the system frees when its holder dies."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What drives without locks answer."""
POLL_SECONDS = 0.1
"""Time between two tries."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; wait for whoever holds it.

    Args:
        path: the lock file; made, and removed afterwards.
        while_waiting: called before every try; an exception from it ends the waiting.

    Raises:
        OSError: the lock file cannot be made.
    """
    while (descriptor := _take(path)) is None:
        while_waiting()
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        _release(path, descriptor)


def _take(path: Path) -> int | None:
    """An open, locked descriptor, or None if another holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if _is_held(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def _is_held(descriptor: int, path: Path) -> bool:
    """Whether the lock could be had."""
    try:
        _try_lock(descriptor)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        # Some network drives know no locks; there, one download at a time is up to the user.
        return error.errno in NO_LOCKS
    try:
        # The last holder removed the file, so the one opened may not be the one others see.
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    # Removed while still held, where the system can; on Windows an open file stays.
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)
