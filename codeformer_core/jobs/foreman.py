"""The process that speaks with Ray: hands blocks to workers, and tells what they tell.

It is another one than the command's, which so outlives whatever becomes of Ray. Only this file
knows Ray, and it knows no picture.
"""

import json
import logging
import math
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from queue import SimpleQueue
from typing import Any

from ..errors import CodeFormerError, SettingError
from ..messages import describe_error
from ..packages import needed_for

LOCAL = "local"
"""The address that stands for a Ray of this machine."""
STORE_BYTES = 128 * 2**20
"""Memory of a local Ray for objects, which hold paths only."""
LANES = 8
"""Pictures that a worker with a GPU has in hand: some are read and written while others compute."""
SECONDS_TO_END = 10
"""For Ray to end before the process does."""


class ClusterError(CodeFormerError):
    """Ray cannot be reached, or has ended."""


@dataclass(frozen=True)
class Cluster:
    """Where the work is done, and by how many."""

    address: str
    """Of a Ray: `local`, `auto`, `HOST:PORT` or `ray://HOST:PORT`."""
    workers: int | None
    """At most; None for as many as there is room for."""
    threads: int
    """Processors that a worker without a GPU takes."""
    device: str
    """`auto`, `cpu` or `cuda`."""


@dataclass(frozen=True)
class Staff:
    """The workers that a cluster has room for, and what each of them takes."""

    workers: int
    processors: float
    gpus: float
    lanes: int


def main() -> None:
    """Read a job from standard input, write news of it to standard output, a line each.

    The job comes in rounds of blocks, each after the end of the one before; an empty one is the
    last.
    """
    cluster, orders = pickle.load(sys.stdin.buffer)
    rounds: SimpleQueue[list[bytes]] = SimpleQueue()
    threading.Thread(target=_listen, args=(rounds,), daemon=True).start()
    news = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # where Ray may print
    try:
        with connection(cluster) as ray:
            staff = staff_for(cluster, ray.cluster_resources())
            tell = _told_from_afar if cluster.address.startswith("ray://") else told
            for blocks in iter(rounds.get, []):
                for row in tell(blocks, orders, staff):
                    print(row, file=news)
                print(json.dumps({"end": ""}), file=news)
    except Exception as error:
        print(json.dumps({"end": describe_error(error)}), file=news)


def _listen(rounds: "SimpleQueue[list[bytes]]") -> None:
    """Read rounds up to the last one; the input ends before it if the command does."""
    blocks = None
    try:
        while blocks != []:
            blocks = pickle.load(sys.stdin.buffer)
            rounds.put(blocks)
    except (EOFError, pickle.UnpicklingError):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(SECONDS_TO_END)
        os._exit(1)


@contextmanager
def connection(cluster: Cluster) -> Iterator[Any]:
    """The module `ray`, connected.

    Raises:
        ClusterError: no Ray answers there.
        MissingModelError: the package is missing.
    """
    settings: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if cluster.address == LOCAL:
        stay_on_this_machine()
        wanted = (cluster.workers or 1) * cluster.threads
        settings |= {
            "num_cpus": max(wanted, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
    else:
        settings["address"] = cluster.address
    with needed_for("--cluster", "ray[data]"):
        import ray

        import_module("ray.data")
    try:
        ray.init(**settings)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"--cluster {cluster.address}: no Ray answers there ({str(error).splitlines()[0]}). If "
            "it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def stay_on_this_machine() -> None:
    """Before Ray is imported: report to nobody, listen to this machine only, ask for a token."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its one switch for addresses of the machine itself; without it Ray takes one of the network.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")


def staff_for(cluster: Cluster, resources: Mapping[str, float]) -> Staff:
    """The workers that a cluster has room for.

    Args:
        cluster: what is wanted.
        resources: of the cluster, in Ray's words.

    Raises:
        SettingError: there is room for none.
    """
    processors, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    if cluster.device != "cpu" and gpus:
        workers = cluster.workers or int(gpus)
        share = math.floor(min(1, gpus / workers) * 1000) / 1000
        return Staff(workers, min(1, processors / workers), share, LANES)
    if cluster.device not in ("auto", "cpu"):
        raise SettingError(f"--device {cluster.device}: no machine of this cluster has a GPU")
    if processors < cluster.threads:
        raise SettingError(
            f"a worker computes with {cluster.threads} threads, as one process here would, but the "
            f"cluster has {processors:g} processors: set OMP_NUM_THREADS to fewer"
        )
    workers = cluster.workers or int(processors // cluster.threads)
    return Staff(workers, cluster.threads, 0, 1)


class Hand:
    """What Ray Data makes one of in each process of the pool."""

    def __init__(self, orders: bytes, staff: Staff) -> None:
        """Read the orders."""
        from .worker import Worker

        self._worker = Worker(pickle.loads(orders), staff.lanes, staff.workers)

    def __call__(self, rows: Any) -> Iterator[dict[str, list[str]]]:
        """Do the blocks of some rows, and tell about them."""
        for block in rows.column("block").to_pylist():
            for news in self._worker.work(block):
                yield {"news": [news]}


def told(blocks: list[bytes], orders: bytes, staff: Staff, hand: Any = Hand) -> Iterator[str]:
    """Rows of news from workers, while they work on rows of blocks."""
    import pyarrow
    from ray.data import ActorPoolStrategy, DataContext, from_blocks

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # news at once, row by row
    busy = min(staff.workers, math.ceil(len(blocks) / staff.lanes))
    staff = replace(staff, workers=busy)  # more would load their networks for nothing
    rows = from_blocks([pyarrow.table({"block": [block]}) for block in blocks])
    news = rows.map_batches(
        hand,
        fn_constructor_args=[orders, staff],
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=staff.processors,
        num_gpus=staff.gpus,
        compute=ActorPoolStrategy(
            size=staff.workers,
            max_tasks_in_flight_per_actor=staff.lanes + 1,
            max_concurrent_calls_per_actor=staff.lanes,
            enable_true_multi_threading=staff.lanes > 1,
        ),
    )
    for batch in news.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from pyarrow.table(batch).column("news").to_pylist()


def _told_from_afar(blocks: list[bytes], orders: bytes, staff: Staff) -> Iterator[str]:
    """The same through a Ray client, with which Ray Data does not work: by one inside."""
    import ray

    remote: Any = ray.remote(num_cpus=0)(Inside)
    get: Any = ray.get
    inside = remote.remote(blocks, orders, staff)
    while (row := get(inside.more.remote())) is not None:
        yield str(row)


class Inside:
    """A foreman inside the cluster, for one that is outside."""

    def __init__(self, blocks: list[bytes], orders: bytes, staff: Staff) -> None:
        self._news = told(blocks, orders, staff)

    def more(self) -> str | None:
        """The next row of news; None after the last one."""
        return next(self._news, None)
