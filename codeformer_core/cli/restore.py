"""`codeformer restore`: restore the faces of files and folders."""

import argparse
import hashlib
import sys
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

if TYPE_CHECKING:
    from ..jobs import Record, Report, Restorer, Task

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
    from ..files import remove_leftovers
    from ..images import make_folder
    from ..jobs import Record, Report, plan_tasks

    tasks = plan_tasks(options.inputs, options.output)
    report = Report(total=len(tasks))
    record = Record(options.output, settings_of(options))
    if options.resume:
        tasks = record.unfinished(tasks)
        report.skipped = report.total - len(tasks)
    restorer = load_restorer(options) if tasks else None
    make_folder(options.output)
    remove_leftovers(task.target for task in tasks)
    try:
        if restorer:
            _restore_all(tasks, restorer, record, report, options.debug)
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


def load_restorer(options: argparse.Namespace) -> "Restorer":
    """The models and settings that the options name.

    Raises:
        MissingModelError: a model file or a package is not there.
        CheckpointError: a model file is damaged, or of another kind.
        SettingError: the device cannot be used.
    """
    from ..jobs import Restorer, Settings

    settings = Settings(options.fidelity, options.upscale, options.confidence, options.min_size)
    detector = None if options.aligned else load_face_detector(options)
    return Restorer(load_network(options), detector, settings)


def _restore_all(
    tasks: "list[Task]", restorer: "Restorer", record: "Record", report: "Report", debug: bool
) -> None:
    from tqdm import tqdm

    from ..jobs import restore_all
    from .progress import steps

    outcomes = restore_all(tasks, restorer, record, steps)
    for outcome in tqdm(outcomes, total=len(tasks), unit="picture", disable=None):
        if debug and outcome.trace:
            print(outcome.trace, file=sys.stderr)
        report.add(outcome)
