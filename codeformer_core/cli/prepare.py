"""`codeformer prepare`: turn photos into training data."""

import argparse
import sys
from pathlib import Path

from .options import Commands, add_detector_options, load_face_detector, number_between

MEGABYTE = 1 << 20


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "prepare",
        help="find, align and pack the faces of photos for training",
        description="Find and align the faces of photos and pack them into WebDataset shards, "
        "for `codeformer train --data DIR`. A face is never enlarged.",
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="a photo, or a folder of photos"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the shards")
    parser.add_argument(
        "--size",
        type=int,
        default=512,
        metavar="PIXELS",
        help="side of the largest faces stored (default: 512)",
    )
    parser.add_argument(
        "--min-size",
        type=int,
        default=128,
        metavar="PIXELS",
        help="leave faces out whose aligned square is smaller in the photo (default: 128)",
    )
    parser.add_argument(
        "--confidence",
        type=number_between(0, 1),
        default=0.8,
        help="leave faces out that are less certain (default: 0.8)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="every picture is an aligned face already: only pack",
    )
    parser.add_argument(
        "--quality", type=int, default=95, help="of the JPEG files, 1 to 100 (default: 95)"
    )
    parser.add_argument(
        "--shard-mb",
        type=number_between(1, 100_000),
        default=60,
        metavar="MB",
        help="largest size of a shard in MiB (default: 60)",
    )
    add_detector_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; photos that cannot be read are named and left out."""
    from ..jobs.plan import Plan
    from ..training.preparation import FaceSelection, prepare_faces
    from .progress import steps

    plan = Plan(options.inputs, options.out)
    photos = [task.source for task in plan if isinstance(task.source, Path)]
    selection = FaceSelection(
        options.size,
        options.min_size,
        confidence=options.confidence,
        quality=options.quality,
    )
    detector = None if options.aligned else load_face_detector(options)
    with steps("preparing") as on_progress:
        report = prepare_faces(
            photos,
            options.out,
            detector,
            selection,
            shard_bytes=int(options.shard_mb * MEGABYTE),
            on_progress=on_progress,
        )
    print(f"{report.faces} faces of {report.photos} photos packed: {options.out}")
    print(
        f"left out: {report.too_small} faces too small, {report.cut_off} cut off by the photo's "
        f"edge, {report.without_face} photos without a face"
    )
    for message in report.unreadable:
        print(f"note: {message}", file=sys.stderr)
    return 0
