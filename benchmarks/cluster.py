"""What `codeformer restore --cluster` costs, and how far it goes.

    python benchmarks/cluster.py overhead --pictures 40    # two workers beside one process
    python benchmarks/cluster.py scaling --seconds 0.5     # 1 to 64 workers, simulated
    python benchmarks/cluster.py memory --rows 1000000     # of the command and of its foreman
    python benchmarks/cluster.py memory --flat             # ... with all pictures in one folder

`overhead` restores the same pictures with one process of two threads and with two workers of one
thread each, and compares pictures a second from the first result to the last, and the whole time,
which counts the start of Ray and of the workers.

`scaling` and `memory` replace the restoration by its time, in which a worker sleeps: all else is
real, processes, rows, notes on disk. So they show where the driver, the disk and the record become
the limit, not how fast pictures are restored. With `--lanes 8` a process is eight of the workers,
each a thread of it, for a machine that has no room for so many processes.

Memory is the most that a process had beyond what it had with the modules in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO, Any

from codeformer_core.jobs import plan as planning
from codeformer_core.jobs.foreman import LANES, Cluster, Staff, connection, told
from codeformer_core.jobs.notes import describe
from codeformer_core.jobs.places import Status
from codeformer_core.jobs.plan import Plan, Task, block_size
from codeformer_core.jobs.record import NAME, Record

WORKERS = (1, 2, 4, 8, 16, 32, 64)
ROWS_A_FOLDER = 1000


def main() -> None:
    """Measure one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(required=True)
    overhead = kinds.add_parser("overhead")
    overhead.add_argument("--pictures", type=int, default=40)
    overhead.add_argument("--threads", type=int, default=2, help="of the one process")
    overhead.set_defaults(measure=overhead_rows)
    scaling = kinds.add_parser("scaling")
    scaling.add_argument("--seconds", type=float, default=0.5, help="of one picture")
    scaling.add_argument("--pictures", type=int, default=60, help="for every worker")
    scaling.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    scaling.add_argument("--lanes", type=int, default=1, help="workers of one process")
    scaling.set_defaults(measure=scaling_rows)
    memory = kinds.add_parser("memory")
    memory.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    memory.add_argument("--flat", action="store_true", help="one folder instead of 1000 a folder")
    memory.add_argument(
        "--seconds", type=float, default=60, help="at most, of handing out to two idle workers"
    )
    memory.set_defaults(measure=memory_rows)
    options = parser.parse_args()
    for row in options.measure(options):
        print(json.dumps(row), flush=True)


# ------------------------------------------------------------------------------------- overhead


def overhead_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One process, as many workers of one thread, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "in", options.pictures)
        one = restore(folder / "in", folder / "one", options.threads, [])
        cluster = ["--cluster", "--workers", str(options.threads)]
        many = restore(folder / "in", folder / "many", 1, cluster)
    yield {"how": f"one process of {options.threads} threads", **one}
    yield {"how": f"{options.threads} workers of one thread", **many}
    yield {
        "how": "more time for a picture",
        "ratio": round(one["pictures a second"] / many["pictures a second"] - 1, 3),
        "start of Ray and workers, s": round(
            many["whole, s"] - options.pictures / many["pictures a second"], 1
        ),
    }


def write_photos(folder: Path, count: int) -> None:
    """Photos of one person, each cut a little differently."""
    import torch
    from skimage.data import astronaut

    from codeformer_core.images import Picture, write_picture

    folder.mkdir()
    photo = torch.from_numpy(astronaut()).float() / 255
    for index in range(count):
        left, top = index % 40, index // 40
        write_picture(
            folder / f"{index:04}.jpg", Picture(photo[top : top + 400, left : left + 440])
        )


def restore(source: Path, output: Path, threads: int, more: list[str]) -> dict[str, float]:
    """Run the command with so many threads a process."""
    command = [sys.executable, "-m", "codeformer_core", "restore", str(source), "-o", str(output)]
    start = time.monotonic()
    subprocess.run(
        [*command, "--device", "cpu", *more],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.DEVNULL,
    )
    whole = time.monotonic() - start
    times = sorted(path.stat().st_mtime for path in output.glob("[!.]*"))
    speed = (len(times) - 1) / (times[-1] - times[0])
    return {"pictures a second": round(speed, 3), "whole, s": round(whole, 1)}


# ---------------------------------------------------------------------------- scaling and memory


class Sleeper:
    """A worker that sleeps for the time of a restoration, and notes and tells what one does."""

    def __init__(self, orders: bytes, staff: Staff) -> None:
        settings = json.loads(orders)
        self._seconds: float = settings["seconds"]
        self._notes = Path(settings["notes"])

    def __call__(self, rows: Any) -> Iterator[dict[str, list[str]]]:
        from codeformer_core.files import written_whole

        for row in rows.column("block").to_pylist():
            number, tasks = json.loads(zlib.decompress(row))
            news: list[Any] = []
            lines: list[str] = []
            size = -(-len(tasks) // 16)
            for index, (source, result, _) in enumerate(tasks, 1):
                time.sleep(self._seconds)
                lines.append(json.dumps({"result": result, "result_bytes": 1, "faces": 1}) + "\n")
                if self._seconds:
                    with written_whole(self._notes / f"{number:06}.jsonl") as path:
                        path.write_text("".join(lines))
                news.append([source, result, 1, [], "", ""])
                if len(news) == size and index < len(tasks):
                    yield {"news": [json.dumps([news, ""])]}
                    news = []
            yield {"news": [json.dumps([news, ""])]}


def block_rows(count: int) -> list[bytes]:
    """The blocks of a job of so many pictures, without the pictures."""
    blocks: list[bytes] = []
    done = 0
    while done < count:
        places = [place_of(index) for index in range(done, done + block_size(count - done))]
        tasks = [(f"/archive/{place}", str(place), (4_000_000, 1, "1:1")) for place in places]
        blocks.append(zlib.compress(json.dumps([len(blocks), tasks]).encode()))
        done += len(places)
    return blocks


def place_of(index: int) -> PurePosixPath:
    """Of a picture below an archive."""
    return PurePosixPath(f"{index // ROWS_A_FOLDER:04}/IMG_{index:07}.jpg")


def scaling_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Pictures a second by workers, beside what workers without a driver would do."""
    for workers in options.workers:
        staff = Staff(workers // options.lanes, 1, 0, options.lanes)
        count = workers * options.pictures
        start, busy = time.monotonic(), time.process_time()
        times = list(simulate(count, staff, options.seconds))
        warm = times[workers:]  # the workers do not start all at once
        speed = (len(warm) - 1) / (warm[-1] - warm[0])
        yield {
            "workers": workers,
            "processes": staff.workers,
            "pictures": count,
            "seconds a picture": options.seconds,
            "pictures a second": round(speed, 2),
            "of what was possible": round(speed * options.seconds / workers, 3),
            "start, s": round(times[0] - start, 1),
            "the driver's processor": round((time.process_time() - busy) / (times[-1] - start), 2),
        }


def simulate(count: int, staff: Staff, seconds: float) -> Iterator[float]:
    """When each picture's news came."""
    with tempfile.TemporaryDirectory() as notes:
        orders = json.dumps({"seconds": seconds, "notes": notes}).encode()
        with connection(Cluster("local", staff.workers, 1, "cpu")):
            for row in told(block_rows(count), orders, staff, Sleeper):
                for _ in json.loads(row)[0]:
                    yield time.monotonic()


def memory_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Memory by rows: of the command, which plans and resumes, and of the foreman."""
    for rows in options.rows:
        for what in ("plan", "resume", "hand_out"):
            more = options.seconds if what == "hand_out" else options.flat
            code = f"import cluster, json; print(json.dumps(cluster.{what}({rows}, {more})))"
            done = subprocess.run(
                [sys.executable, "-c", code],
                check=True,
                cwd=Path(__file__).parent,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
                stdout=subprocess.PIPE,
            )
            yield {"rows": rows, "what": what, **json.loads(done.stdout.splitlines()[-1])}


def made_up(rows: int, flat: bool, output: Path = Path("/nowhere")) -> Plan:
    """The plan of a job of pictures that are not there."""

    def sources(*arguments: object) -> Iterator[tuple[Path, PurePosixPath, Status]]:
        for index in range(rows):
            place = place_of(index)
            place = PurePosixPath(place.name) if flat else place
            yield Path("/archive") / place, place, Status(4_000_000, index, f"1:{index}")

    planning._sources = sources  # type: ignore[assignment]
    return Plan([Path("/archive")], output)


def plan(rows: int, flat: bool) -> dict[str, float]:
    """Plan a job and read all its blocks."""
    before, start = peak(), time.monotonic()
    blocks = sum(1 for _ in made_up(rows, flat).blocks())
    return {
        "blocks": blocks,
        "seconds": round(time.monotonic() - start, 1),
        "more memory, MiB": round(peak() - before, 1),
    }


def resume(rows: int, flat: bool) -> dict[str, float]:
    """Find that all of a job is finished, of which there are empty results and a true record."""
    with tempfile.TemporaryDirectory() as name:
        record = Record(Path(name), "settings")
        file = Path(name, NAME, "000001.jsonl")
        file.parent.mkdir()
        with file.open("w") as lines:
            for task in made_up(rows, flat, Path(name)):
                write_result(task, lines)
        before, start = peak(), time.monotonic()
        job = made_up(rows, flat, Path(name))
        for outcome in record.finished(job):
            job.leave_out(outcome.task)
        assert not job.waiting
        return {
            "seconds": round(time.monotonic() - start, 1),
            "bytes of the record a picture": round(file.stat().st_size / rows),
            "more memory, MiB": round(peak() - before, 1),
        }


def write_result(task: Task, record: IO[str]) -> None:
    """Make an empty result and an entry."""
    target = Path(str(task.target))
    target.parent.mkdir(exist_ok=True)
    target.touch()
    entry = {"result": task.result, **describe(task, 0), "settings": "settings"}
    record.write(json.dumps(entry | {"faces": 1, "notes": []}) + "\n")


def hand_out(rows: int, seconds: float) -> dict[str, float]:
    """Hand a job to two processes that do nothing, eightfold, and hear of it for a while."""
    news = simulate(rows, Staff(2, 1, 0, LANES), 0)
    start, busy, first = next(news), time.process_time(), peak()
    times = [start, *takewhile(lambda now: now < start + seconds, news)]
    busy = 1000 * (time.process_time() - busy) / len(times)
    return {
        "heard of": len(times),
        "pictures a second": round(len(times) / (times[-1] - start)),
        "the driver's processor, ms a picture": round(busy, 3),
        "memory at first, MiB": round(first),
        "more memory, MiB": round(peak() - first, 1),
    }


def peak() -> float:
    """MiB that this process had in memory at most."""
    status = Path("/proc/self/status").read_text()  # `getrusage` counts the parent's peak too
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
