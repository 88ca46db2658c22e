"""`codeformer pack` and `unpack`: training that travels."""

import argparse
from pathlib import Path

from ..errors import SettingError
from .options import Commands, number_between

MEGABYTE = 1 << 20


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "pack",
        help="put all that training needs into one small folder",
        description="Put aligned faces, a few to evaluate on, what is needed of the loss networks, "
        "weights to begin with and a run to go on with into one folder, for a machine that has "
        "nothing else: `codeformer train all CONFIG --data DIR`. Each part is optional.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the packed folder")
    parser.add_argument("--faces", type=Path, metavar="DIR", help="aligned faces to train on")
    parser.add_argument(
        "--index",
        type=Path,
        metavar="CSV",
        help="of the faces: columns file, source, native_side_px and person",
    )
    parser.add_argument(
        "--weight",
        action="append",
        default=[],
        metavar="SOURCE=W",
        help="how often faces of a source come in an epoch (default: 1); may be repeated",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=256,
        metavar="PIXELS",
        help="side of the faces; what was smaller in its photo is left out (default: 256)",
    )
    parser.add_argument(
        "--quality", type=int, default=80, help="of the WebP files, 1 to 100 (default: 80)"
    )
    parser.add_argument(
        "--evaluation", type=Path, metavar="DIR", help="aligned faces to measure on"
    )
    parser.add_argument(
        "--evaluation-faces", type=int, default=48, metavar="N", help="how many (default: 48)"
    )
    parser.add_argument(
        "--backbones", action="store_true", help="what is needed of the loss networks"
    )
    parser.add_argument(
        "--config",
        default="builtin_256",
        metavar="CONFIG",
        help="family or folder of the run that is to start (default: builtin_256)",
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="stage I weights that stage I begins with"
    )
    parser.add_argument(
        "--grow",
        metavar="MODEL",
        help="a smaller CodeFormer that stage II begins as",
    )
    parser.add_argument(
        "--outer", type=Path, metavar="FILE", help="tensors of the larger one's outer blocks"
    )
    parser.add_argument(
        "--run", dest="run_folder", type=Path, metavar="DIR", help="a run to go on with"
    )
    parser.add_argument(
        "--run-mb",
        type=number_between(1, 100_000),
        default=60,
        metavar="MB",
        help="moments of its optimiser are left out where it would grow larger, in MiB (default: "
        "60)",
    )
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..training import packing

    if options.faces is not None:
        _pack_faces(options)
    if options.evaluation is not None:
        count = options.evaluation_faces
        packed = packing.pack_evaluation(options.evaluation, options.out, options.size, count)
        print(f"{packed} faces to evaluate on")
    if options.backbones:
        packing.pack_backbones(options.out)
    if options.start is not None:
        _pack_start(options)
    if options.run_folder is not None:
        from ..training.parcels import write_parcels

        limit = int(options.run_mb * MEGABYTE)
        write_parcels(options.run_folder, options.out / packing.RUN, limit)
    print(f"{options.out}: {packing.packed_bytes(options.out) / MEGABYTE:.1f} MiB")
    return 0


def _pack_faces(options: argparse.Namespace) -> None:
    from ..training.packing import pack_faces, read_index
    from .progress import steps

    notes = {} if options.index is None else read_index(options.index)
    with steps("packing") as on_progress:
        report = pack_faces(
            options.faces,
            notes,
            options.out,
            size=options.size,
            quality=options.quality,
            weights=dict(_weight(text) for text in options.weight),
            on_progress=on_progress,
        )
    sources = ", ".join(f"{name or 'no source'} {n}" for name, n in report.sources.items())
    print(f"{report.faces} faces ({sources}); {report.too_small} left out as too small")


def _weight(text: str) -> tuple[str, float]:
    source, mark, value = text.rpartition("=")
    try:
        weight = float(value)
    except ValueError:
        weight = -1.0
    if not mark or weight <= 0:
        raise SettingError(f"--weight {text}: write SOURCE=W with a W above 0")
    return source, weight


def _pack_start(options: argparse.Namespace) -> None:
    from ..training import find_config, load_config
    from ..training.starts import pack_start

    model = load_config(find_config(2, options.config)).model
    for path, new in pack_start(options.out, model, options.start, options.grow, options.outer):
        print(f"{path}: {new} tensors are new")
