"""Notice workers that end before they can work: no picture is to blame, and no successor helps."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import CodeFormerError
from .places import folder_contents, remove, write_bytes
from .record import STARTS, Run

MOST_DEATHS = 3
"""Of each worker, while it loads the networks, before the job is given up."""
READY = "ready"


class WorkersDieError(CodeFormerError):
    """No worker comes to work."""


@contextmanager
def starting(run: Run, workers: int) -> Iterator[None]:
    """Keep an entry in the record while a worker loads its networks; that of a killed one stays.

    Args:
        run: of the job.
        workers: how many there are, of which all may be loading now.

    Raises:
        PictureError: the entry cannot be written.
        WorkersDieError: so many have died, and none ever had its networks.
    """
    prefix = f"{run.number:06}{STARTS}"
    found = {name for name in folder_contents(run.folder) if name.startswith(prefix)}
    if prefix + READY not in found and len(found) >= MOST_DEATHS * workers:
        raise WorkersDieError(
            f"workers ended {len(found)} times while they loaded the networks, and none came to "
            "work: there may be too little memory for so many (try fewer --workers), or loading "
            "them hangs or takes longer than --patience allows (look at the storage of the models, "
            "or allow more seconds)"
        )
    entry = run.folder / f"{prefix}{uuid.uuid4().hex}"
    write_bytes(entry, b"")
    try:
        yield
        write_bytes(run.folder / (prefix + READY), b"")
    finally:
        remove(entry)
