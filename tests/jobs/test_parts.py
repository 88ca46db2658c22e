"""Long videos that several workers restore: the file, words and record of one process."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codeformer_core.cli import make_parser
from codeformer_core.cli.node_options import settings_from
from codeformer_core.errors import VideoError
from codeformer_core.jobs import videos
from codeformer_core.jobs.local import restore_all
from codeformer_core.jobs.outcome import Outcome
from codeformer_core.jobs.parts import in_rounds
from codeformer_core.jobs.plan import Block, Plan
from codeformer_core.jobs.record import Record
from codeformer_core.jobs.report import Report
from codeformer_core.jobs.restorer import PictureRestorer
from codeformer_core.jobs.rows import block_row, news_of
from codeformer_core.jobs.worker import Orders, Worker
from codeformer_core.video import segments
from codeformer_core.video.job import VideoJob
from tests.video.clips import Clip, packets, scene
from tests.video.standins import ByColour, MarkerDetector, Painted

CUT = 27


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two videos: one of five segments, with sound, a cut and a face; a short one."""
    monkeypatch.setattr(segments, "SECONDS", 0.4)
    monkeypatch.setattr(videos, "identity_network", ByColour)

    def paint(index: int):
        picture = scene(96, 128, (50 + index, 48), 36)
        return picture if index < CUT else 255 - picture[:, ::-1]

    def paint_with_face(index: int):
        picture = paint(index)
        picture[30:66, 40:76] = scene(96, 128, (50, 48), 36)[40, 50]
        return picture

    folder = tmp_path / "in"
    folder.mkdir()
    Clip(count=50, paint=paint_with_face, audio=True).write(folder / "film.mp4")
    Clip(count=6).write(folder / "short.mp4")
    return folder


class Job:
    """A job on a folder, for one process or for two workers that take turns in this one."""

    def __init__(self, source: Path, output: Path, resume: bool = False) -> None:
        command = ["restore", str(source), "-o", str(output), *(["--resume"] if resume else [])]
        self.settings = settings_from(make_parser().parse_args(command))
        self.plan, self.record = Plan([source], output), Record(output, "settings")
        self.report = Report(len(self.plan), self.plan.videos)
        if resume:
            for outcome in self.record.finished(self.plan):
                self.plan.leave_out(outcome.task)
                self.report.take_over(outcome)
        self.record.folder.mkdir(parents=True, exist_ok=True)  # type: ignore[union-attr]
        self.run = self.record.begin()
        self.rounds: list[list[Block]] = []

    def restorer(self, in_parts: bool = False) -> PictureRestorer:
        network = Painted(torch.neg)
        return PictureRestorer(network, MarkerDetector(), self.settings, in_parts=in_parts)  # type: ignore[arg-type]

    def by_one(self) -> Report:
        steps = lambda name: nullcontext(lambda done, total: None)  # noqa: E731
        return self._end(restore_all(self.plan, self.restorer(), self.run, steps))

    def by_two(self) -> Report:
        load = lambda: self.restorer(in_parts=True)  # noqa: E731
        orders = Orders(load, self.plan.output, self.run, torch.get_num_threads(), 60.0, Path.cwd())
        workers = [Worker(orders, 1), Worker(orders, 1)]

        def work(blocks: Iterable[Block]) -> Iterator[Outcome]:
            self.rounds.append(list(blocks))
            for number, block in reversed(list(enumerate(self.rounds[-1]))):
                for row in workers[number % 2].work(block_row(block)):
                    yield from news_of(json.loads(row), self.plan.output).outcomes

        return self._end(in_rounds(self.plan, work))

    def _end(self, outcomes: Iterable[Outcome]) -> Report:
        for outcome in outcomes:
            self.report.add(outcome)
        self.record.join()
        return self.report


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_long_video_in_parts_is_the_file_of_one_process(film: Path, tmp_path: Path) -> None:
    one, two = Job(film, tmp_path / "out"), Job(film, tmp_path / "two")
    words = one.by_one().summary(tmp_path / "out")
    assert two.by_two().summary(tmp_path / "out") == words
    assert contents(tmp_path / "two") == contents(tmp_path / "out")
    assert not list((tmp_path / "two").glob(".*segments")), "nothing is left behind"
    looked, parts, joined = two.rounds
    assert (len(looked), len(joined)) == (2, 1), "a short video stays whole"
    frames = [task.frames or (0, 0) for block in parts for task in block.tasks]
    assert [start for start, _ in frames] == [0, *(stop for _, stop in frames[:-1])]
    assert frames[-1][1] == 50
    assert CUT in {start for start, _ in frames}
    assert Job(film, tmp_path / "two", resume=True).by_one().earlier == 2


def test_what_some_restored_of_a_video_others_go_on_with(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Job(film, tmp_path / "whole").by_one().summary(tmp_path).splitlines()
    honest, out = VideoJob._encode, tmp_path / "out"

    def fail_at_cut(self, segment, *arguments):
        if segment.start == CUT:
            raise VideoError("film.mp4: the disk is on fire")
        honest(self, segment, *arguments)

    monkeypatch.setattr(VideoJob, "_encode", fail_at_cut)
    report = Job(film, out).by_two()
    assert report.failures == [(str(film / "film.mp4"), "film.mp4: the disk is on fire")]
    begun: list[int] = []

    def noted(self, segment, *arguments):
        begun.append(segment.start)
        honest(self, segment, *arguments)

    monkeypatch.setattr(VideoJob, "_encode", noted)
    resumed = Job(film, out, resume=True).by_one()
    words.insert(1, "finished by an earlier run: 1")
    assert resumed.summary(tmp_path).splitlines() == words, "short.mp4 has its note"
    assert resumed.is_whole
    assert begun == [CUT], "the other parts were finished"
    assert contents(out) == contents(tmp_path / "whole")


def test_parts_of_a_video_that_changed_are_not_joined(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, job, begun = VideoJob._encode, Job(film, tmp_path / "out"), []

    def change_at_last(self, segment, *arguments):
        honest(self, segment, *arguments)
        begun.append(len(job.rounds))
        if segment.start == 0 and begun[-1] == 2:
            os.utime(film / "film.mp4", (0, 0))

    monkeypatch.setattr(VideoJob, "_encode", change_at_last)
    [(source, words)] = job.by_two().failures
    assert source == str(film / "film.mp4")
    assert "not the same as when" in words
    assert len(job.rounds) == 3 and max(begun) == 2, "nothing is restored while joining"


def test_a_faulty_video_is_read_by_one(film: Path, tmp_path: Path) -> None:
    source = film / "film.mp4"
    content = bytearray(source.read_bytes())
    place = content.find(packets(source, "video")[0][30][2])
    content[place + 4 : place + 400] = bytes(396)
    source.write_bytes(content)
    job = Job(film, tmp_path / "out")
    report = job.by_two()
    assert report.is_whole
    assert "damaged" in report.summary(tmp_path / "out")
    resumed = Job(film, tmp_path / "out", resume=True).by_two()
    assert "damaged" in resumed.summary(tmp_path / "out"), "which an earlier run noted"
    assert len(job.rounds) == 1


def test_a_jobs_parser_cuts_the_masks_of_videos_too(film: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    class Parser:
        name = "parser"

        def masks(self, crops, *, runtime, **parts):
            seen.append(len(crops))
            return torch.zeros(len(crops), 512, 512)

    job = Job(film / "short.mp4", tmp_path / "out")
    restorer = replace(job.restorer(), parser=Parser())  # type: ignore[arg-type]
    for block in job.plan.blocks():
        restorer.restore(block.tasks[0])
    assert sum(seen) == 6
