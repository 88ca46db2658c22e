"""A Ray to work on: one of this machine that ends with the job, or a cluster that runs already."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import CodeFormerError
from ..packages import needed_for

LOCAL = "local"
"""The address that stands for a Ray of this machine."""
STORE_BYTES = 128 * 2**20
"""Memory of a local Ray for objects, which hold paths only."""


class ClusterError(CodeFormerError):
    """Ray cannot be reached, or has ended."""


@contextmanager
def session(address: str, processors: int) -> Iterator[Any]:
    """The module `ray`, connected.

    Args:
        address: `local`, `auto`, `HOST:PORT` or `ray://HOST:PORT`.
        processors: that a local Ray is to have at least, though the machine may have fewer.

    Raises:
        ClusterError: no Ray answers there.
        MissingModelError: the package is missing.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it tells the terminal too much
    if address == LOCAL:
        _stay_on_this_machine()
    with needed_for("--cluster", "ray[data]"):
        import ray
        import ray.data
    if ray.is_initialized():  # whoever started it will end it
        yield ray
        return
    settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        settings |= {
            "num_cpus": max(processors, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
    else:
        settings["address"] = address
    try:
        with _silence():
            ray.init(**settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"--cluster {address}: no Ray answers there ({str(error).splitlines()[0]}). If it "
            "asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _stay_on_this_machine() -> None:
    """Before Ray is imported: report to nobody, listen to this machine only, ask for a token."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its one switch for addresses of the machine itself; without it Ray takes one of the network.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def _silence() -> Iterator[None]:
    """Without what Ray writes to the terminal by itself while it starts; its errors are raised."""
    sys.stderr.flush()
    stream = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stream, 2)
        os.close(stream)


def prepare_context() -> None:
    """News at once, row by row; and what the user is to know, the command says."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.target_max_block_size = 1
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
