"""`codeformer restore`: restore the faces of files and folders."""

import argparse
import hashlib
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .options import (
    Commands,
    add_model_options,
    load_face_detector,
    load_network,
    number_between,
    weight_files,
)
from .report import Report

if TYPE_CHECKING:
    from ..faces import FaceDetector
    from ..images import Picture
    from ..networks import CodeFormer
    from .jobs import Job
    from .record import Record

Progress = Callable[[int, int], None]

SETTINGS = (
    "fidelity", "model", "dtype", "detector", "upscale", "aligned", "confidence", "min_size",
)  # fmt: skip
"""Options that change results."""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "restore",
        help="restore the faces of pictures and folders",
        description="Restore the faces of pictures. Everything but the faces stays as it is, and "
        "so do the input files. A result appears under its name only when it is whole.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="a picture, or a folder of pictures"
    )
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; pictures keep their names and their places in folders",
    )
    add_model_options(parser)
    parser.add_argument(
        "--upscale",
        type=number_between(1, 4),
        default=1.0,
        metavar="FACTOR",
        help="enlarge the whole picture, 1 to 4 (default: 1)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the inputs are aligned square faces: no search; the result has the model's size",
    )
    parser.add_argument(
        "--confidence",
        type=number_between(0, 1),
        default=0.8,
        help="leave faces alone that are less certain, 0 to 1 (default: 0.8)",
    )
    parser.add_argument(
        "--min-size",
        type=number_between(0, 1e6),
        default=16.0,
        metavar="PIXELS",
        help="leave smaller faces alone (default: 16)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on after an interruption: leave out pictures that an earlier run finished with "
        "the same settings. A picture that has changed since, or whose result has, is restored "
        "again. The output folder's .codeformer-restore.jsonl keeps track, with or without this "
        "option",
    )
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code is 1 if any picture failed."""
    from ..images import make_folder, remove_leftovers
    from .jobs import plan_jobs
    from .record import Record

    jobs = plan_jobs(options.inputs, options.output)
    report = Report(total=len(jobs))
    record = Record(options.output, settings_of(options))
    if options.resume:
        jobs = record.unfinished(jobs)
        report.skipped = report.total - len(jobs)
    restorer = _load_restorer(options) if jobs else None
    make_folder(options.output)
    remove_leftovers(job.target for job in jobs)
    try:
        if restorer:
            _restore_all(jobs, restorer, record, report)
    finally:
        print(report.summary(options.output), flush=True)
        if report.failures:
            print(report.failure_list(), file=sys.stderr)
    return 1 if report.failures else 0


def settings_of(options: argparse.Namespace) -> str:
    """All that changes results, as a digest: options, the model files' age and size, this version.

    Raises:
        MissingModelError: a model file is not there.
    """
    from .. import __version__

    values: list[object] = [__version__, *(getattr(options, name) for name in SETTINGS)]
    # What a name stands for changes with an upgrade, a download and the folders looked through.
    for path in weight_files(options):
        values += [path.stat().st_size, path.stat().st_mtime_ns] if path else [None]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def _load_restorer(options: argparse.Namespace) -> "Restorer":
    network = load_network(options)
    return Restorer(network, None if options.aligned else load_face_detector(options), options)


def _restore_all(jobs: "list[Job]", restorer: "Restorer", record: "Record", report: Report) -> None:
    from tqdm import tqdm

    from ..images import DiskFullError
    from . import describe_error
    from .progress import steps

    for job in tqdm(jobs, unit="picture", disable=None):
        try:
            with steps(job.source.name) as on_progress:
                restorer.restore(job, report, on_progress)
            record.add(job)
        except DiskFullError:  # the others would only lose their time
            raise
        except Exception as error:  # one bad picture must not stop the others
            if restorer.options.debug:
                traceback.print_exc()
            report.failures.append((job.source, describe_error(error)))


@dataclass(frozen=True)
class Restorer:
    """What is the same for every picture of a run."""

    network: "CodeFormer"
    detector: "FaceDetector | None"
    """None for aligned faces."""
    options: argparse.Namespace

    def restore(self, job: "Job", report: Report, on_progress: Progress) -> None:
        """Restore one picture and note what became of it.

        Raises:
            CodeFormerError: the picture cannot be read, restored or written.
        """
        from ..images import make_folder, read_picture, write_picture

        picture = read_picture(job.source)
        restore = self._picture if self.detector else self._aligned
        result, faces, notes = restore(picture, on_progress)
        make_folder(job.target.parent)
        if faces == 0 and self.options.upscale == 1 and job.source.suffix == job.target.suffix:
            copy_file(job.source, job.target)  # no pixel changed, so no byte should
        else:
            notes = (*picture.notes, *notes, *write_picture(job.target, result))
        report.notes += [(job.source, note) for note in notes]
        report.faces += faces
        report.restored += faces > 0
        report.faceless += faces == 0

    def _picture(
        self, picture: "Picture", on_progress: Progress
    ) -> "tuple[Picture, int, tuple[str, ...]]":
        from ..pipeline import restore_image
        from ..pipeline.restore import enlarge

        options = self.options
        restored = restore_image(
            picture.pixels,
            self.network,
            self.detector,
            fidelity=options.fidelity,
            confidence=options.confidence,
            min_size=options.min_size,
            upscale=options.upscale,
            on_progress=on_progress,
        )
        alpha = picture.alpha
        if alpha is not None:
            alpha = enlarge(alpha[None, ..., None], options.upscale)[0, ..., 0]
        result = replace(picture, pixels=restored.image, alpha=alpha)
        return result, restored.faces.count, restored.warnings

    def _aligned(
        self, picture: "Picture", on_progress: Progress
    ) -> "tuple[Picture, int, tuple[str, ...]]":
        from ..images import resize
        from ..pipeline import restore_crops
        from ..pipeline.large_faces import large_face_notes
        from ..pipeline.restore import enlarge

        restored = restore_crops(
            self.network, picture.pixels[None], self.options.fidelity, on_progress=on_progress
        )
        restored = enlarge(restored, self.options.upscale)
        alpha = picture.alpha
        if alpha is not None:
            alpha = resize(alpha[None, ..., None], *restored.shape[1:3])[0, ..., 0]
        notes = large_face_notes([picture.pixels.shape[0]], self.network.size)
        return replace(picture, pixels=restored[0], alpha=alpha), 1, notes


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, under its new name only when it is whole.

    Raises:
        PictureError: it cannot be read or written.
    """
    from ..images import atomic_write

    with atomic_write(target) as written, source.open("rb") as read:
        shutil.copyfileobj(read, written)
