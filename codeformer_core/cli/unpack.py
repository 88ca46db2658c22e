"""`codeformer unpack`: lay out a run that has come back in parts."""

import argparse
from pathlib import Path

from .options import Commands


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "unpack",
        help="lay out a run that has come back in parts",
        description="Make the folders of a run from the files that `codeformer train all "
        "--parcels DIR` or `codeformer pack --run` left, to go on with it.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="with run.000, run.001, ...")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="for the stages")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..training.parcels import read_parcels

    stages = read_parcels(options.folder, options.out)
    print(f"{', '.join(stages)}: {options.out}")
    return 0
