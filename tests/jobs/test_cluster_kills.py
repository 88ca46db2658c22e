"""`codeformer restore --cluster`: the results of one process, whatever dies, hangs or is full."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from codeformer_core.cli import main, make_parser
from codeformer_core.cli import restore as restore_command
from codeformer_core.jobs import cluster
from codeformer_core.jobs.foreman import Cluster
from codeformer_core.jobs.outcome import Outcome
from codeformer_core.jobs.plan import Plan
from codeformer_core.jobs.record import Record
from codeformer_core.jobs.restorer import PictureRestorer
from codeformer_core.jobs.worker import Orders
from tests.jobs.aligned import PICTURES, ROOT, command, contents, done, times
from tests.video.clips import Clip

pytestmark = pytest.mark.extended


def moody(load: Callable[[], PictureRestorer], diary: Path) -> Callable[[], PictureRestorer]:
    """A way to load a restorer that stops its process once, and kills or stops it at some pictures.

    All within a function, so that it goes to a worker by value.
    """

    def load_moody() -> PictureRestorer:
        import os
        import signal
        from dataclasses import replace

        if not (diary / "loading").exists():
            (diary / "loading").touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        restorer = load()

        class Moody(type(restorer)):
            def restore(self, task, on_progress=None):
                name = task.source.stem
                first = not (diary / name).exists()
                with (diary / name).open("a") as stream:
                    stream.write("begun\n")
                if name == "frame_0002" or (name == "frame_0005" and first):
                    os.kill(os.getpid(), signal.SIGKILL)
                if name == "frame_0007" and first:
                    os.kill(os.getpid(), signal.SIGSTOP)
                outcome = super().restore(task, on_progress)
                with (diary / name).open("a") as stream:
                    stream.write("done\n")
                return outcome

        fields = {name: getattr(restorer, name) for name in ("network", "detector", "settings")}
        return replace(Moody(**fields))

    return load_moody


def run_moody(
    ray: str, arguments: list[str], diary: Path, mood: Callable[..., Any] = moody
) -> list[Outcome]:
    diary.mkdir()
    options = make_parser().parse_args(arguments)
    plan, out = Plan(options.inputs, options.output), options.output
    run = Record(out, restore_command.settings_of(options)).begin()
    out.mkdir(exist_ok=True)
    run.folder.mkdir()  # type: ignore[union-attr]
    load = mood(partial(restore_command.load_restorer, options), diary)
    orders = Orders(load, out, run, threads=1, patience=3, folder=Path.cwd())
    with closing(cluster.restore_on_cluster(plan, orders, Cluster(ray, 2, 1, "cpu"))) as outcomes:
        return list(outcomes)


def test_killed_and_stopped_workers_cost_nothing(
    ray: str, faces: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import cloudpickle

    monkeypatch.setattr(cluster, "pickle", cloudpickle)  # takes functions of tests by value
    main(command(faces, tmp_path / "whole", model))
    out, diary = tmp_path / "out", tmp_path / "diary"
    outcomes = run_moody(ray, command(faces, out, model), diary)
    names = sorted(outcome.task.source.stem for outcome in outcomes)
    assert names == sorted(path.stem for path in faces.rglob("*_*")), "each once"
    failed = {outcome.task.source.stem: outcome.error for outcome in outcomes if outcome.error}
    assert set(failed) == {"bad_empty", "bad_page", "bad_link", "frame_0002"}
    assert "ended or blocked the process that worked on it 3 times" in failed["frame_0002"]
    expected = contents(tmp_path / "whole")
    del expected[next(name for name in expected if "frame_0002" in name)]
    assert contents(out) == expected
    # A picture that was done when its worker died, but not noted yet, may be done again.
    again = [path.name for path in diary.iterdir() if path.read_text().count("done") > 1]
    assert len(again) <= 5
    assert (diary / "frame_0002").read_text() == "begun\n" * 3
    assert (diary / "frame_0007").read_text() == "begun\n" * 2 + "done\n"


def hanging(load: Callable[[], PictureRestorer], diary: Path) -> Callable[[], PictureRestorer]:
    """A way to load a restorer that never comes to an end."""

    def load_hanging() -> PictureRestorer:
        import time

        while True:
            time.sleep(1)

    return load_hanging


def test_workers_that_hang_while_they_load_end_the_job(
    ray: str, faces: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import cloudpickle

    monkeypatch.setattr(cluster, "pickle", cloudpickle)  # takes functions of tests by value
    with pytest.raises(cluster.JobEndedError, match="allow more seconds"):
        run_moody(ray, command(faces, tmp_path / "out", model), tmp_path / "diary", hanging)


def deadly(load: Callable[[], PictureRestorer], diary: Path) -> Callable[[], PictureRestorer]:
    """A way to load a restorer that stops or kills its process at every stage of a film, once."""

    def load_deadly() -> PictureRestorer:
        import os
        from dataclasses import replace
        from itertools import count
        from signal import SIGKILL, SIGSTOP

        from codeformer_core.jobs.plan import JOIN
        from codeformer_core.video import segments

        segments.SECONDS = 0.4
        restorer = replace(load(), in_parts=True)
        inside = {None: SIGSTOP, (10, 20): SIGKILL, (30, 40): SIGKILL}
        after = {JOIN: SIGKILL}  # the result is in place, but nobody knows

        def die_once(stage, ways):
            entry = diary / str(stage)
            if stage in ways and not entry.exists():
                entry.touch()
                os.kill(os.getpid(), ways[stage])

        class Deadly(type(restorer)):
            def restore(self, task, on_progress):
                steps = count()

                def progress(done, total):
                    on_progress(done, total)
                    if next(steps) == 4:
                        die_once(task.frames, inside)

                outcome = super().restore(task, progress)
                die_once(task.frames, after)
                return outcome

        names = ("network", "detector", "settings", "in_parts")
        return Deadly(**{name: getattr(restorer, name) for name in names})

    return load_deadly


def test_a_film_whose_workers_die_is_the_film_of_one_process(
    ray: str, model: Path, tmp_path: Path, astronaut: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import cloudpickle

    from codeformer_core.video import segments

    def paint(index: int) -> np.ndarray:
        photo = (astronaut[:240, 100:340].numpy() * 255).astype(np.uint8)
        return np.roll(photo, (index // 2, index // 2), (0, 1))

    source = Clip(240, 240, 50, paint=paint, audio=True).write(tmp_path / "film.mp4")
    monkeypatch.setattr(cluster, "pickle", cloudpickle)  # takes functions of tests by value
    monkeypatch.setattr(segments, "SECONDS", 0.4)
    film = ["restore", str(source), "--model", str(model), "--device", "cpu", "-o"]
    assert main([*film, str(tmp_path / "whole")]) == 0
    out, diary = tmp_path / "out", tmp_path / "diary"
    (outcome,) = run_moody(ray, [*film, str(out)], diary, deadly)
    assert not outcome.error
    stages = {path.name for path in diary.iterdir()}
    assert stages == {"None", "(10, 20)", "(30, 40)", "(0, 0)"}, "it died in each of them"
    assert contents(out) == contents(tmp_path / "whole")


def test_a_full_disk_ends_the_job_and_it_goes_on(
    ray: str, faces: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(command(faces, tmp_path / "whole", model))
    size = sum(map(len, contents(tmp_path / "whole").values())) // 1024
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size // 2 + 40}k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        capsys.readouterr()
        assert main(command(faces, disk / "out", model, "--cluster", ray)) == 1
        printed = capsys.readouterr()
        assert "the disk is full" in printed.err
        assert "--resume goes on from here" in printed.out
        left = contents(disk / "out")
        assert left.items() <= contents(tmp_path / "whole").items(), "whole or not at all"
        assert 0 < len(left) < PICTURES
        subprocess.run(["mount", "-o", f"remount,size={4 * size + 999}k", str(disk)], check=True)
        main(command(faces, disk / "out", model, "--resume"))
        assert contents(disk / "out") == contents(tmp_path / "whole")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_dead_foreman_is_said_and_the_job_goes_on(
    ray: str, faces: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psutil")
    main(command(faces, tmp_path / "whole", model))
    out = tmp_path / "out"

    def kill() -> None:
        while not done(out):
            time.sleep(0.01)
        its_foreman().kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    capsys.readouterr()
    assert main(command(faces, out, model, "--cluster", ray)) == 1
    thread.join(10)
    assert "Ray has ended; --resume goes on from here" in capsys.readouterr().err
    wait_until(no_worker_is_left)
    main(command(faces, out, model, "--resume"))
    assert contents(out) == contents(tmp_path / "whole")


def test_a_foreman_that_lags_costs_no_picture(
    ray: str, faces: Path, model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("psutil")
    main(command(faces, tmp_path / "whole", model))
    out = tmp_path / "out"

    def stop_for_a_while() -> None:
        while not done(out):
            time.sleep(0.01)
        foreman = its_foreman()
        foreman.suspend()
        time.sleep(6)
        foreman.resume()
        stopped.set()

    stopped = threading.Event()
    thread = threading.Thread(target=stop_for_a_while, daemon=True)
    thread.start()
    assert main(command(faces, out, model, "--cluster", ray, "--patience", "3")) == 1  # 3 are bad
    assert stopped.wait(10)
    assert contents(out) == contents(tmp_path / "whole")


def its_foreman() -> Any:
    """Of the command that runs in this process."""
    import psutil

    children = psutil.Process().children()
    (found,) = [each for each in children if "foreman import main" in " ".join(each.cmdline())]
    return found


def no_worker_is_left() -> bool:
    import psutil

    names = [process.info["name"] or "" for process in psutil.process_iter(["name"])]
    return not any("MapWorker" in name for name in names)


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("victim", ["command", "all of Ray"])
def test_a_killed_job_takes_its_ray_along_and_goes_on(
    victim: str, faces: Path, model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    psutil = pytest.importorskip("psutil")
    if victim == "all of Ray" and PICTURES < 100:
        pytest.skip("takes long; CODEFORMER_JOB_PICTURES=500 runs it")
    main(command(faces, tmp_path / "whole", model))
    out = tmp_path / "out"
    job = subprocess.Popen(
        [sys.executable, "-m", "codeformer_core", *command(faces, out, model, "--cluster")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: done(out) > PICTURES // 4, 120)
    family = psutil.Process(job.pid).children(recursive=True)
    assert listening(family) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    if victim == "command":
        job.kill()
    else:
        for process in family[1:]:
            process.kill()
    assert job.wait(90) == (-signal.SIGKILL if victim == "command" else 1)
    assert job.stderr is not None
    assert victim == "command" or b"Ray has ended" in job.stderr.read()
    # Its two agents, which know nothing of the job, look only now and then whether they should go.
    workers = [process for process in family if "Agent" not in name_of(process)]
    _, alive = psutil.wait_procs(workers, 30)
    assert not alive
    # What was being written was left hidden, and goes.
    before = {name: then for name, then in times(out).items() if "/." not in name}
    main(command(faces, out, model, "--resume"))
    assert contents(out) == contents(tmp_path / "whole")
    again = [name for name, then in before.items() if times(out)[name] != then]
    assert len(again) <= 2, "what its workers had not noted yet"


def name_of(process: Any) -> str:
    import psutil

    try:
        return process.name()
    except psutil.Error:  # it has ended meanwhile
        return ""


def listening(processes: list) -> set[str]:
    """Addresses at which processes can be reached."""
    import psutil

    found = set()
    for process in processes:
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:  # it has ended meanwhile
            continue
        found |= {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}
    return found
