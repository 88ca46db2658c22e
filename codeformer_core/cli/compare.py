"""`codeformer compare`: a photo's faces as several restorers see them, side by side."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .options import (
    Commands,
    add_detector_options,
    add_dtype_option,
    load_face_detector,
    load_network,
    number_between,
)

if TYPE_CHECKING:
    from ..models.restorer import Restorer

OUTPUT = Path("codeformer-compare.png")
BY_HAND = (
    "ONNX graphs are had by hand, GPEN's for academic and non-commercial use only: "
    "docs/other-restorers.md"
)


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "compare",
        help="see a photo's faces as several restorers make them",
        description="Restore the faces of a photo with several models, and write one labelled "
        "sheet: the input, every restorer at its fidelities, the ground truth, with the measures "
        "below each; and beside it a table.",
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO", help="a picture with a face")
    parser.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="NAME",
        help="as --model of restore: builtin, weight files, ONNX graphs, names of downloaded files",
    )
    parser.add_argument(
        "--fidelity",
        type=number_between(0, 1),
        nargs="+",
        default=[0.5],
        metavar="W",
        help="at which to show those that know fidelity (default: 0.5)",
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="the same photo before it was damaged"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="FILE",
        help=f"the sheet; the table comes beside it as .md (default: {OUTPUT})",
    )
    parser.add_argument(
        "--width", type=int, default=256, metavar="N", help="pixels of a face (default: 256)"
    )
    add_dtype_option(parser)
    add_detector_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..evaluation.lineup import line_up
    from ..images import Picture, atomic_write, read_picture, write_picture
    from ..metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance
    from ..runtime import Runtime
    from .progress import steps

    _check_all_there(options)
    photo = read_picture(options.photo).pixels
    truth = read_picture(options.truth).pixels if options.truth else None
    with steps("comparing") as on_progress:
        lineup = line_up(
            photo,
            [_loader(options, name) for name in options.models],
            load_face_detector(options),
            fidelities=options.fidelity,
            truth=truth,
            identity=IdentityNetwork,
            perceptual=lambda: PerceptualDistance(EVALUATION_BACKBONE),
            runtime=Runtime(on_progress),
        )
    write_picture(options.output, Picture(lineup.sheet(options.width)))
    with atomic_write(options.output.with_suffix(".md")) as file:
        file.write(f"{lineup.table}\n".encode())
    print(lineup.table)
    for warning in lineup.warnings:
        print(f"note: {warning}")
    print(f"sheet: {options.output}")
    return 0


def _check_all_there(options: argparse.Namespace) -> None:
    """Name every model that is missing before the first runs.

    Raises:
        MissingModelError: some are not there; the message says how to get each, and its licence.
    """
    from ..errors import MissingModelError
    from ..models.folders import model_folders
    from ..models.load import find_restorer

    missing: list[str] = []
    for name in options.models:
        try:
            find_restorer(name, model_folders(options.weights_dir))
        except MissingModelError as error:
            by_hand = f"; {BY_HAND}" if name.lower().endswith(".onnx") else ""
            missing.append(f"{error}{by_hand}")
    if missing:
        raise MissingModelError("\n".join(missing))


def _loader(options: argparse.Namespace, name: str) -> "Callable[[], Restorer]":
    """What loads one of the models when its turn comes."""
    return lambda: load_network(argparse.Namespace(**{**vars(options), "model": name}))
