"""`codeformer inspect`: say what a weight file is."""

import argparse
import sys
from pathlib import Path

from ..errors import CodeFormerError
from .options import Commands


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "inspect",
        help="say what a weight file is and whether it can be used",
        description="Say what weight files are: kind, variant, sizes, hash, and licence if known.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code is 1 if a file cannot be read."""
    from ..models import describe

    failed = False
    for index, file in enumerate(options.files):
        if index:
            print()
        try:
            print(describe(file))
        except CodeFormerError as error:
            print(f"codeformer: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0
