"""`codeformer evaluate`: measure a model on a folder of faces."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingModelError
from .options import (
    Commands,
    add_detector_options,
    add_dtype_option,
    load_codeformer,
    load_face_detector,
    number_between,
)

if TYPE_CHECKING:
    from ..evaluation.evaluate import Measure

RANGES = ("strong", "mild")


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on aligned faces",
        description="Degrade aligned faces with fixed seeds, restore them at several fidelities, "
        "and write a table (JSON, Markdown) and a contact sheet.",
    )
    parser.add_argument("model", metavar="MODEL", help="builtin, or a weight file")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="aligned faces")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for the results")
    parser.add_argument(
        "--fidelity",
        type=number_between(0, 1),
        nargs="+",
        default=[0.0, 0.25, 0.5, 0.75, 1.0],
        metavar="W",
        help="fidelities to restore at (default: 0 0.25 0.5 0.75 1)",
    )
    parser.add_argument(
        "--degradation",
        choices=RANGES,
        default="strong",
        help="ranges of stage II (strong) or the mild ones of stage III (default: strong)",
    )
    parser.add_argument(
        "--autoencoder",
        type=Path,
        metavar="FILE",
        help="stage I weights for the nearest-neighbour baseline (default: the encoder of the "
        "model)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the degradations (default: 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many faces")
    parser.add_argument(
        "--landmarks",
        action="store_true",
        help="normalised mean error of the landmarks too: searches every picture for its face",
    )
    parser.add_argument("--lpips", action="store_true", help="LPIPS too (downloads AlexNet)")
    parser.add_argument(
        "--fid",
        nargs="?",
        const="inception",
        metavar="BACKBONE",
        help="Frechet distance too: of inception (the published FID; downloads its weights), or "
        "of efficientnet_lite0",
    )
    add_dtype_option(parser, default="float32")
    add_detector_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..degradation import STAGE_THREE_MILD, STAGE_TWO
    from ..evaluation.baseline import NearestNeighbour
    from ..evaluation.evaluate import evaluate, nme_measure
    from ..evaluation.report import as_markdown, write_report
    from ..images import make_folder
    from ..metrics import LPIPS, FrechetDistance
    from ..models import load_vqgan
    from ..runtime import Runtime
    from .progress import steps

    make_folder(options.out)
    network = load_codeformer(options)
    baseline = None
    if options.autoencoder is not None:
        device = next(network.parameters()).device
        autoencoder = load_vqgan(options.autoencoder, device=device, dtype=network.dtype)
        baseline = NearestNeighbour(autoencoder)
    measures = measures_that_can_be_had()
    # Asked for: not having it is an error.
    if options.landmarks:
        measures["NME"] = nme_measure(load_face_detector(options))
    if options.lpips:
        measures["LPIPS"] = LPIPS().distance
    with steps("evaluating") as on_progress:
        evaluation = evaluate(
            network,
            options.folder,
            measures,
            fidelities=options.fidelity,
            ranges=STAGE_TWO if options.degradation == "strong" else STAGE_THREE_MILD,
            baseline=baseline,
            seed=options.seed,
            limit=options.limit,
            frechet=None if options.fid is None else lambda: FrechetDistance(options.fid),
            runtime=Runtime(on_progress),
        )
    about = {
        "model": Path(options.model).name,
        "data": options.folder.name,
        "degradation": options.degradation,
    }
    paths = write_report(evaluation, options.out, about)
    print(as_markdown(evaluation, about))
    for path in paths:
        print(path)
    return 0


def measures_that_can_be_had(backbones: Path | None = None) -> "dict[str, Measure]":
    """All measures that need no asking; those that cannot be had here are named.

    Args:
        backbones: folder of trimmed backbones; the installed packages' if there is none.
    """
    from ..evaluation.evaluate import identity_measure
    from ..metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance, psnr, ssim

    trimmed = backbones / f"{EVALUATION_BACKBONE}.safetensors" if backbones else None
    weights = trimmed if trimmed and trimmed.is_file() else None
    measures: dict[str, Measure] = {"PSNR": psnr, "SSIM": ssim}
    makers = {
        "perceptual": lambda: PerceptualDistance(EVALUATION_BACKBONE, weights).distance,
        "identity": lambda: identity_measure(IdentityNetwork()),
    }
    for name, make in makers.items():
        try:
            measures[name] = make()
        except MissingModelError as error:
            print(f"note: {name} is left out: {error}", file=sys.stderr)
    return measures
