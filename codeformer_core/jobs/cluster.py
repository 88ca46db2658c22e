"""The engine of many processes: Ray Data hands blocks of pictures to a pool of workers.

Rows carry paths only. A worker holds the networks, reads, restores and writes; it notes itself
what it has finished, so that who follows it goes on at the very picture if it dies, and so does
any other engine.
"""

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..addresses import ONE_PROCESS, Address, Place
from ..errors import CodeFormerError, SettingError
from .outcome import Outcome
from .plan import Plan
from .ray_session import ClusterError, prepare_context, session
from .rows import block_row, news_of
from .worker import Orders, Worker

LANES = 8
"""Pictures that a worker with a GPU has in hand: some are read and written while others compute."""


@dataclass(frozen=True)
class Cluster:
    """Where the work is done, and by how many."""

    address: str
    """Of a Ray: `local`, `auto`, `HOST:PORT` or `ray://HOST:PORT`."""
    workers: int | None
    """At most; None for as many as there is room for."""
    device: str
    """`auto`, `cpu` or `cuda`."""


@dataclass(frozen=True)
class Staff:
    """The workers that a cluster has room for, and what each of them takes."""

    workers: int
    processors: float
    gpus: float
    lanes: int


class JobEndedError(CodeFormerError):
    """A worker cannot go on, and no other one could."""


def restore_on_cluster(
    plan: Plan, orders: Orders, cluster: Cluster
) -> Generator[Outcome, None, None]:
    """Restore what waits in a plan.

    Yields:
        What became of each picture, in any order.

    Raises:
        ClusterError: no Ray answers, or it has ended.
        JobEndedError: a worker cannot go on, and no other one could.
        MissingModelError: Ray is not installed.
        SettingError: the cluster has no room for a worker, or would not see the pictures.
    """
    with session(cluster.address, (cluster.workers or 1) * orders.threads) as ray:
        staff = staff_for(cluster, orders.threads, ray.cluster_resources())
        orders = replace(orders, lanes=staff.lanes)
        blocks = list(map(block_row, plan.blocks()))
        tell = _told_from_afar if cluster.address.startswith("ray://") else told
        try:
            for row in tell(blocks, orders, staff):
                outcomes, fatal = news_of(row, plan.output)
                yield from outcomes
                if fatal:
                    raise JobEndedError(fatal)
        except ray.exceptions.RayError as error:
            raise ClusterError(f"Ray has ended: {str(error).splitlines()[0]}") from error


def check_shared(places: Iterable[Place]) -> None:
    """Raise a SettingError for a place that no other process sees."""
    for each in places:
        if isinstance(each, Address) and each.protocol == ONE_PROCESS:
            raise SettingError(f"{each}: no other process sees this place; --cluster needs one")


def staff_for(cluster: Cluster, threads: int, resources: Mapping[str, float]) -> Staff:
    """The workers that a cluster has room for.

    Args:
        cluster: what is wanted.
        threads: of a worker without a GPU.
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
    if processors < threads:
        raise SettingError(
            f"a worker computes with {threads} threads, as one process here would, but the cluster "
            f"has {processors:g} processors: set OMP_NUM_THREADS to fewer"
        )
    return Staff(cluster.workers or int(processors // threads), threads, 0, 1)


def told(blocks: list[bytes], orders: Orders, staff: Staff) -> Iterator[str]:
    """Rows of news from workers, while they work on rows of blocks."""
    import pyarrow
    from ray.data import ActorPoolStrategy, from_arrow

    prepare_context()
    rows = from_arrow([pyarrow.table({"block": [block]}) for block in blocks])
    news = rows.map_batches(
        Worker,  # type: ignore[arg-type]
        fn_constructor_args=[orders],
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


def _told_from_afar(blocks: list[bytes], orders: Orders, staff: Staff) -> Iterator[str]:
    """The same through a Ray client, with which Ray Data does not work: by one inside."""
    import ray

    remote: Any = ray.remote(num_cpus=0)(Foreman)
    foreman = remote.remote(blocks, orders, staff)
    while (row := ray.get(foreman.more.remote())) is not None:
        yield row


class Foreman:
    """Inside the cluster, for a command that is outside."""

    def __init__(self, blocks: list[bytes], orders: Orders, staff: Staff) -> None:
        self._news = told(blocks, orders, staff)

    def more(self) -> str | None:
        """The next row of news; None after the last one."""
        return next(self._news, None)
