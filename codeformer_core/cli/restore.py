"""`codeformer restore`: restore the faces of files and folders."""

import argparse
import hashlib
import socket
import sys
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..addresses import Place, place
from ..errors import CodeFormerError, MissingModelError, SettingError
from .node_options import OPTIONS, add_node_options, settings_from
from .options import (
    Commands,
    add_model_options,
    load_face_detector,
    load_face_parser,
    load_network,
    load_upscaler,
    number_between,
    weight_files,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from ..jobs.outcome import Outcome
    from ..jobs.plan import Plan
    from ..jobs.record import Record
    from ..jobs.report import Report
    from ..jobs.restorer import PictureRestorer
    from ..models.restorer import Restorer
    from ..people import Person

    Outcomes = Generator[Outcome, None, None]

SETTINGS = (
    "fidelity", "model", "dtype", "detector", "parser", "aligned", "quality", "stability", "people",
    "references", "person", "person_strength",
    *(option.name for option in OPTIONS),
)  # fmt: skip
"""Options that change results."""
FORMATS = ("jpg", "png", "webp", "tif", "bmp")
"""Endings of results that can be asked for."""


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "restore",
        help="restore the faces of pictures, videos and folders",
        description="Restore the faces of pictures and videos. Everything but the faces stays as "
        "it is, and so do the input files. A result appears under its name only when it is whole.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        type=_place,
        metavar="INPUT",
        help="a picture, a video or a folder of them; or its address, such as s3://bucket/photos",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=_place,
        required=True,
        metavar="DIR",
        help="folder for the results, or its address; pictures keep their names and their places "
        "in folders",
    )
    add_model_options(parser, automatic=True)
    parser.add_argument(
        "--parser",
        metavar="NAME",
        help="mask skin and hair as this model sees them, for example parsenet: a file, or the "
        "name of a downloaded one (default: a soft oval)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the inputs are aligned square faces: no search; the result has the model's size",
    )
    add_node_options(parser)
    parser.add_argument(
        "--references",
        nargs="+",
        type=Path,
        default=(),
        metavar="PHOTO",
        help="clean photos of people in the pictures, who agree: their faces are restored as these "
        "people, a single face as the only one, and what a picture does not hold is invented; "
        "--fidelity auto compares with the photos too",
    )
    parser.add_argument(
        "--person",
        nargs="+",
        type=Path,
        default=(),
        metavar="ADAPTER",
        help="a person that the model shall know, from codeformer personalize; of several each "
        "face gets the one it looks like",
    )
    parser.add_argument(
        "--person-strength",
        type=number_between(0, 1),
        default=1.0,
        metavar="0..1",
        help="of --person (default: 1)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="of all results (default: that of each picture, or PNG if it cannot be written)",
    )
    parser.add_argument(
        "--quality",
        type=int,
        choices=range(1, 101),
        metavar="1..100",
        help="of JPEG and WebP (default: a JPEG keeps its own, a WebP without loss stays without, "
        "others get 95), and of videos (default: about 88, where no eye sees a difference)",
    )
    _add_video_options(parser)
    parser.add_argument(
        "--max-megapixels",
        type=number_between(1, 1e6),
        metavar="MP",
        help="refuse larger pictures, which take about 60 bytes of memory a pixel (default: 179)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on after an interruption: leave out pictures that an earlier run finished with "
        "the same settings, and go on in the video that it was at. A picture that has changed "
        "since, or whose result has, is restored again. The output folder's hidden "
        ".codeformer-restore keeps track, with or without this option",
    )
    add_cluster_options(parser)
    parser.set_defaults(run=run)
    return parser


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """Options that say where the work is done."""
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="local",
        type=_ray_address,
        metavar="ADDRESS",
        help="restore with several processes under Ray, with the same results: alone, those of "
        "this machine; or auto, HOST:PORT or ray://HOST:PORT for a Ray cluster that runs",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes of --cluster (default: one a GPU, or as many as the processors hold)",
    )
    parser.add_argument(
        "--patience",
        type=number_between(1, 1e6),
        default=600.0,
        metavar="SECONDS",
        help="--cluster replaces a process that makes no progress for so long, with a picture or "
        "while it loads the models (default: 600)",
    )


def _add_video_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stability",
        type=number_between(0, 1),
        metavar="0..1",
        help="of faces in videos: 0 restores every frame by itself, 1 is the steadiest "
        "(default: 0.5)",
    )
    parser.add_argument(
        "--people",
        type=_people,
        default=(),
        metavar="NUMBERS",
        help="restore only these people of videos, such as 1,3: 1 is who is seen longest "
        "(default: all)",
    )


def _people(text: str) -> tuple[int, ...]:
    from ..faces.selection import parse_numbers

    try:
        return tuple(parse_numbers(text))
    except SettingError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code is 1 if any picture or folder was not read or restored."""
    from ..jobs.lock import only_job
    from ..jobs.plan import Plan
    from ..jobs.record import Record
    from ..jobs.report import Report

    suffix = f".{options.format}" if options.format else ""
    plan = Plan(options.inputs, options.output, suffix)
    record = Record(options.output, settings_of(options))
    enlarges = options.upscale_by > 1
    report = Report(len(plan), plan.videos, plan.left_out, enlarges=enlarges)
    with only_job(record.folder):
        if options.resume:
            for outcome in record.finished(plan):
                plan.leave_out(outcome.task)
                report.take_over(outcome)
        outcomes = _start(plan, record, options)
        try:
            with closing(outcomes):
                _follow(outcomes, plan.waiting, report, options.debug)
        finally:
            with suppress(CodeFormerError):  # the next run will join what this one could not
                record.join()
            _tell(report, plan)
    return 0 if report.is_whole else 1


def _tell(report: "Report", plan: "Plan") -> None:
    """Print what became of the job."""
    from ..jobs.videos import stopped_videos

    if report.waiting and plan.videos:
        with suppress(MissingModelError):  # without the package for videos none was begun
            report.note_stopped(stopped_videos(plan))
    print(report.summary(plan.output), flush=True)
    if report.failures:
        print(report.failure_list(), file=sys.stderr)


def _place(text: str) -> Place:
    try:
        return place(text)
    except SettingError as error:  # argparse would show the text, and any password in it
        raise argparse.ArgumentTypeError(str(error)) from error


def _ray_address(text: str) -> str:
    if text not in ("local", "auto") and ":" not in text:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not local, auto, HOST:PORT or ray://HOST:PORT; put --cluster after the "
            "inputs"
        )
    return text


def settings_of(options: argparse.Namespace) -> str:
    """All that changes results, as a digest: options, the model files' age and size, this version.

    Raises:
        MissingModelError: a model file, an adapter or a reference photo is not there.
    """
    from .. import __version__

    for file in (*options.references, *options.person):
        if not file.is_file():
            raise MissingModelError(f"{file}: there is no such file")

    values: list[object] = [__version__, *(getattr(options, name) for name in SETTINGS)]
    # What a name stands for changes with an upgrade, a download and the folders looked through.
    for path in [*weight_files(options), *options.references, *options.person]:
        values += [path.stat().st_size, path.stat().st_mtime_ns] if path else [None]
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def load_restorer(options: argparse.Namespace) -> "PictureRestorer":
    """The models and settings that the options name.

    Raises:
        MissingModelError: a model file or a package is not there.
        CheckpointError: a model file is damaged, or of another kind.
        PictureError: a reference photo that cannot be read, or without a face.
        SettingError: the device cannot be used.
    """
    from ..jobs.restorer import PictureRestorer
    from ..pipeline.upscaling import NETWORK

    people = _known_people(options)
    settings = settings_from(options, people)
    network = _with_references(_with_people(load_network(options), options), people, options)
    upscaler = None
    enlarges = options.upscale_by > 1 or (options.upscale_faces and not options.aligned)
    if enlarges and options.upscale_method == NETWORK:
        upscaler = load_upscaler(options)
    if options.aligned:
        return PictureRestorer(network, None, settings, upscaler=upscaler)
    detector, parser = load_face_detector(options), load_face_parser(options)
    of_faces = upscaler if options.upscale_faces else None
    return PictureRestorer(network, detector, settings, parser, upscaler, of_faces)


def _with_people(network: "Restorer", options: argparse.Namespace) -> "Restorer":
    """The network, which knows the people of the adapters."""
    from ..people.adapters import read_adapter
    from ..people.knowing import with_person

    several = len(options.person) > 1
    for path in options.person:
        adapter = read_adapter(path)
        network = with_person(network, adapter, options.person_strength, by_likeness=several)
    return network


def _with_references(
    network: "Restorer", people: "tuple[Person, ...]", options: argparse.Namespace
) -> "Restorer":
    """The network, which draws the people on the reference photos if it can."""
    from ..metrics import IdentityNetwork
    from ..models.folders import model_folders
    from ..people.knowing import UNCONDITIONED, References, with_references

    if not people or not options.reference_strength:
        return network
    references = References(people, IdentityNetwork())
    folders = model_folders(options.weights_dir)
    known = with_references(network, references, options.reference_strength, folders=folders)
    if known is network:
        print(UNCONDITIONED, file=sys.stderr)
    return known


def _known_people(options: argparse.Namespace) -> "tuple[Person, ...]":
    """Those on the reference photos."""
    from ..images import read_picture
    from ..metrics import IdentityNetwork
    from ..people import known_people

    if not options.references:
        return ()
    photos = [read_picture(path).pixels for path in options.references]
    return known_people(photos, load_face_detector(options), IdentityNetwork())


def _start(plan: "Plan", record: "Record", options: argparse.Namespace) -> "Outcomes":
    """The engine on its way."""
    if not plan.waiting:
        return _nothing()
    engine = _in_cluster if options.cluster else _in_this_process
    return engine(plan, record, options)


def _nothing() -> "Outcomes":
    yield from ()


def _in_this_process(plan: "Plan", record: "Record", options: argparse.Namespace) -> "Outcomes":
    from ..jobs.local import restore_all
    from .progress import steps

    restorer = load_restorer(options)
    plan.remove_leftovers()
    return restore_all(plan, restorer, record.begin(), steps)


def _in_cluster(plan: "Plan", record: "Record", options: argparse.Namespace) -> "Outcomes":
    import torch

    from ..jobs.cluster import check_shared, restore_on_cluster
    from ..jobs.foreman import Cluster
    from ..jobs.worker import Orders

    check_shared([*options.inputs, options.output])
    plan.remove_leftovers()
    orders = Orders(
        load=partial(_load_same, options, _weight_sizes(options)),
        output=options.output,
        run=record.begin(),
        threads=torch.get_num_threads(),
        patience=options.patience,
        folder=Path.cwd(),
    )
    cluster = Cluster(options.cluster, options.workers, orders.threads, options.device)
    return restore_on_cluster(plan, orders, cluster)


def _load_same(options: argparse.Namespace, sizes: list[int | None]) -> "PictureRestorer":
    """On a worker, whose model files must be those of the machine that the job was begun on."""
    if _weight_sizes(options) != sizes:
        raise SettingError(
            f"{socket.gethostname()}: the model files of this machine are not those of the machine "
            "that the job was begun on; give all machines of the cluster the same"
        )
    return replace(load_restorer(options), in_parts=True)


def _weight_sizes(options: argparse.Namespace) -> list[int | None]:
    return [path.stat().st_size if path else None for path in weight_files(options)]


def _follow(outcomes: "Outcomes", total: int, report: "Report", debug: bool) -> None:
    from tqdm import tqdm

    for outcome in tqdm(outcomes, total=total, unit=report.thing, disable=None):
        if debug and outcome.trace:
            print(outcome.trace, file=sys.stderr)
        report.add(outcome)
