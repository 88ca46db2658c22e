"""The parts of a worker: its orders, its lanes, its notes and its watchdog."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from codeformer_core.addresses import place
from codeformer_core.cli import main, make_parser
from codeformer_core.cli import restore as restore_command
from codeformer_core.errors import MissingModelError, SettingError
from codeformer_core.images import Picture, read_picture, write_picture
from codeformer_core.jobs.block import MOST_TRIES, restore_block
from codeformer_core.jobs.cluster import check_shared
from codeformer_core.jobs.foreman import LANES, Cluster, Staff, connection, staff_for
from codeformer_core.jobs.gather import Gathering
from codeformer_core.jobs.outcome import Outcome
from codeformer_core.jobs.places import Status
from codeformer_core.jobs.plan import Block, Task
from codeformer_core.jobs.record import Record
from codeformer_core.jobs.restorer import PictureRestorer
from codeformer_core.jobs.rows import block_of, block_row, news_of, news_row
from codeformer_core.jobs.starts import MOST_DEATHS, starting
from codeformer_core.jobs.worker import ROWS_OF_A_BLOCK, Lanes, Orders, Worker
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.people.recogniser import Recogniser
from codeformer_core.people.restorer import PeopleRestorer

CPU = Cluster("local", None, 2, "auto")


@pytest.mark.parametrize(
    ("cluster", "resources", "staff"),
    [
        (CPU, {"CPU": 8}, Staff(4, 2, 0, 1)),
        (replace(CPU, workers=3), {"CPU": 8}, Staff(3, 2, 0, 1)),
        (CPU, {"CPU": 8, "GPU": 2}, Staff(2, 1, 1, LANES)),
        (replace(CPU, workers=4), {"CPU": 8, "GPU": 2}, Staff(4, 1, 0.5, LANES)),
        (replace(CPU, workers=3), {"CPU": 1.5, "GPU": 1}, Staff(3, 0.5, 0.333, LANES)),
        (replace(CPU, device="cpu"), {"CPU": 8, "GPU": 2}, Staff(4, 2, 0, 1)),
    ],
)
def test_a_worker_takes_a_gpu_or_its_threads(cluster, resources, staff) -> None:
    assert staff_for(cluster, resources) == staff


def test_a_cluster_without_room_is_refused() -> None:
    with pytest.raises(SettingError, match="OMP_NUM_THREADS"):
        staff_for(replace(CPU, threads=16), {"CPU": 8})
    with pytest.raises(SettingError, match="no machine of this cluster has a GPU"):
        staff_for(replace(CPU, device="cuda"), {"CPU": 8})


def test_a_missing_ray_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = pytest.raises(MissingModelError, match=r"pip install ray\[data\]")
    with missing, connection(replace(CPU, address="auto")):
        pass


def test_a_place_that_no_other_process_sees_is_refused() -> None:
    check_shared([place("/photos")])
    with pytest.raises(SettingError, match="memory://photos: no other process sees"):
        check_shared([place("memory://photos")])


def test_blocks_and_news_come_through_rows() -> None:
    output = Path("out")
    tasks = (
        Task(Path("a b/\udce9.png"), output, "\udce9.png", Status(5, 7, "1:2")),
        Task(Path("missing.png"), output, "missing.png", None),
    )
    assert block_of(block_row(Block(3, tasks)), output) == Block(3, tasks)
    outcomes = [Outcome(replace(tasks[0], seen=None), 2, ("a note",)), Outcome(tasks[1], error="e")]
    assert news_of(json.loads(news_row(outcomes, "why")), output) == (outcomes, "why")


def test_who_may_be_to_blame_has_the_worker_for_itself() -> None:
    lanes, together, alone = Lanes(3), [], []
    inside = threading.Semaphore(0)

    def work(suspect: bool) -> None:
        with lanes.take(suspect) as lane:
            assert 0 <= lane < 3
            here.append(suspect)
            (alone if suspect else together).append(list(here))
            inside.acquire(timeout=0.05)
            here.remove(suspect)

    here: list[bool] = []
    threads = [threading.Thread(target=work, args=(index % 4 == 3,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone == [[True]] * 3
    assert all(True not in others for others in together)


WATCHED = """
import sys, time, os, signal
from codeformer_core.jobs.watchdog import Watchdog
dog = Watchdog(0.5)
time.sleep(0.8)  # idle, unwatched
with dog.watching(0), dog.watching(1):
    for _ in range(8):
        dog.progress(0), dog.progress(1)
        time.sleep(0.1)
print("worked", flush=True)
time.sleep(0.8)
with dog.watching(0), dog.watching(1):
    if sys.argv[1] == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        dog.progress(0)
        time.sleep(0.1)
"""


@pytest.mark.parametrize("how", ["stopped", "one thread stuck"])
def test_the_watchdog_kills_who_makes_no_progress_and_nobody_else(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, how], stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert done.stdout == b"worked\n"
    assert done.returncode == -signal.SIGKILL


class Restorer:
    """Restores nothing, but can fail."""

    def __init__(self, failing: str = "") -> None:
        self.names: list[str] = []
        self._failing = failing

    def restore(self, task: Task, on_progress=None) -> Outcome:
        self.names.append(task.result)
        if task.result == self._failing:
            raise KeyboardInterrupt
        task.target.parent.mkdir(exist_ok=True)  # type: ignore[union-attr]
        task.target.write_bytes(b"restored")  # type: ignore[union-attr]
        return Outcome(task, faces=1)


@pytest.fixture
def block(tmp_path: Path) -> Block:
    names = [f"{index}.png" for index in range(4)]
    return Block(0, tuple(Task(tmp_path / name, tmp_path / "out", name) for name in names))


def steps(name: str):
    return nullcontext(lambda done, total: None)


def test_a_successor_goes_on_where_a_worker_died(tmp_path: Path, block: Block) -> None:
    run = Record(tmp_path / "out", "settings").begin()
    run.folder.mkdir(parents=True)  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt):
        list(restore_block(block, Restorer("2.png"), run.notes(block), steps))  # type: ignore[arg-type]
    successor = Restorer()
    outcomes = list(restore_block(block, successor, run.notes(block), steps))  # type: ignore[arg-type]
    assert successor.names == ["2.png", "3.png"]
    assert [outcome.task.result for outcome in outcomes] == ["0.png", "1.png", "2.png", "3.png"]
    assert [outcome.faces for outcome in outcomes] == [1] * 4


def test_a_picture_that_ends_its_worker_every_time_is_given_up(
    tmp_path: Path, block: Block
) -> None:
    run = Record(tmp_path / "out", "settings").begin()
    run.folder.mkdir(parents=True)  # type: ignore[union-attr]
    for _ in range(MOST_TRIES):
        with pytest.raises(KeyboardInterrupt):
            list(restore_block(block, Restorer("2.png"), run.notes(block), steps))  # type: ignore[arg-type]
    last = Restorer("2.png")
    outcomes = list(restore_block(block, last, run.notes(block), steps))  # type: ignore[arg-type]
    assert last.names == ["3.png"]
    assert [bool(outcome.error) for outcome in outcomes] == [False, False, True, False]


def orders(tmp_path: Path, **changes: object) -> Orders:
    run = Record(tmp_path / "out", "settings").begin()
    plain = Orders(Restorer, tmp_path / "out", run, 1, 60.0, tmp_path)  # type: ignore[arg-type]
    return replace(plain, **changes)  # type: ignore[arg-type]


def news(worker: Worker, block: Block, output: Path):
    return [news_of(json.loads(row), output) for row in worker.work(block_row(block))]


def test_news_come_in_as_many_rows_on_every_try(tmp_path: Path) -> None:
    output = tmp_path / "out"
    (output / ".codeformer-restore").mkdir(parents=True)
    tasks = tuple(Task(tmp_path / f"{i}.png", output, f"{i}.png") for i in range(100))
    worker = Worker(orders(tmp_path), 1)
    first = news(worker, Block(0, tasks), output)
    again = news(worker, Block(0, tasks), output)
    assert [len(each.outcomes) for each in first] == [len(each.outcomes) for each in again]
    assert len(first) <= ROWS_OF_A_BLOCK
    assert [outcome.task for each in first for outcome in each.outcomes] == list(tasks)
    assert not any(each.fatal for each in first)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.0"}, "was begun by 0.0: install the same"),
        ({"output": Path("/nowhere/out")}, "does not see this folder"),
    ],
)
def test_a_worker_that_cannot_work_says_why(changes, words, tmp_path: Path, block: Block) -> None:
    (tmp_path / "out").mkdir()
    worker = Worker(orders(tmp_path, **changes), 1)
    (told,) = news(worker, block, tmp_path / "out")
    assert not told.outcomes
    assert words in told.fatal


def test_workers_that_die_while_they_load_end_the_job(tmp_path: Path, block: Block) -> None:
    output = tmp_path / "out"
    (output / ".codeformer-restore").mkdir(parents=True)
    job = orders(tmp_path)
    dead = [starting(job.run, workers=2) for _ in range(2 * MOST_DEATHS)]
    for each in dead:
        each.__enter__()  # and no more of it
    (told,) = news(Worker(job, 1, workers=2), block, output)
    assert "workers ended 6 times" in told.fatal
    with suppress(KeyError), starting(job.run, workers=3):
        raise KeyError  # an error is no death
    for workers in (3, 2):  # now that some work, the others may die
        assert not any(each.fatal for each in news(Worker(job, 1, workers), block, output))
    Record(output, "settings").join()
    assert [path.name for path in (output / ".codeformer-restore").iterdir()] == ["000001.jsonl"]


HANGING = """
import sys, time
from pathlib import Path
from codeformer_core.jobs.record import Record
from codeformer_core.jobs.worker import Orders, Worker
out = Path(sys.argv[1])
Worker(Orders(lambda: time.sleep(60), out, Record(out, "settings").begin(), 1, 1.5, out), 1)
"""


def test_a_worker_that_hangs_while_it_loads_is_killed_and_counted(tmp_path: Path) -> None:
    record = tmp_path / ".codeformer-restore"
    record.mkdir()
    hung = subprocess.run(
        [sys.executable, "-c", HANGING, str(tmp_path)], timeout=50, capture_output=True
    )
    assert hung.returncode == -signal.SIGKILL, hung.stderr
    (entry,) = record.iterdir()
    assert entry.name.startswith("000001-start-")


def test_what_breaks_the_record_ends_the_job(tmp_path: Path, block: Block) -> None:
    (tmp_path / "out").mkdir()
    worker = Worker(orders(tmp_path), 1)
    (told,) = news(worker, block, tmp_path / "out")  # the record's folder is not there
    assert "cannot be written" in told.fatal


def test_several_lanes_gather_the_faces_of_their_pictures(
    tmp_path: Path, model: Path, astronaut, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(8):
        write_picture(tmp_path / f"{index}.png", Picture(astronaut[40 + index : 104 + index, :64]))
    arguments = ["restore", *(str(tmp_path / f"{index}.png") for index in range(8)), "--aligned"]
    arguments += ["--model", str(model), "--device", "cpu"]
    main([*arguments, "-o", str(tmp_path / "one")])
    options = make_parser().parse_args([*arguments, "-o", str(tmp_path / "out")])
    (tmp_path / "out" / ".codeformer-restore").mkdir(parents=True)
    load = partial(restore_command.load_restorer, options)
    worker = Worker(orders(tmp_path, load=load, output=tmp_path / "out"), lanes=4)
    blocks = [
        Block(index, (Task(tmp_path / f"{index}.png", tmp_path / "out", f"{index}.png"),))
        for index in range(8)
    ]
    told: list = []
    threads = [
        threading.Thread(target=lambda b=block: told.extend(news(worker, b, tmp_path / "out")))
        for block in blocks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(each.fatal for each in told)
    for index in range(8):
        one, out = (read_picture(tmp_path / name / f"{index}.png") for name in ("one", "out"))
        assert float((one.pixels - out.pixels).abs().max()) <= 2 / 255


def test_who_knows_people_is_given_one_picture_after_the_other(
    tmp_path: Path, tiny_codeformer: CodeFormer
) -> None:
    """And is there to be told whom it shows, as in one process."""
    (tmp_path / "out" / ".codeformer-restore").mkdir(parents=True)
    known = PeopleRestorer(tiny_codeformer, Recogniser(IdentityNetwork()))
    for network, lanes in ((known, 1), (tiny_codeformer, 4)):
        load = partial(PictureRestorer, network, None, settings=None)  # type: ignore[arg-type]
        worker = Worker(orders(tmp_path, load=load, output=tmp_path / "out"), lanes=4)
        assert worker._lanes.count == lanes
        assert isinstance(worker._restorer.network, PeopleRestorer if lanes == 1 else Gathering)
