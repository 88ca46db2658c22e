"""`codeformer download`: fetch known model files, checked."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .options import Commands

if TYPE_CHECKING:
    from ..downloads import KnownFile


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "download",
        help="fetch published model files",
        description="Fetch published model files, resumed and checked against their hash. Without "
        "a name, list them with their licences.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as codeformer.pth")
    parser.add_argument(
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="folder for the files (default: the first of CODEFORMER_MODELS, or the cache)",
    )
    parser.add_argument(
        "--allow-unverified",
        action="store_true",
        help="also fetch a file nobody published a hash of",
    )
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..downloads import KNOWN_FILES, find
    from ..models.folders import model_folders

    if not options.names:
        for file in KNOWN_FILES:
            print(_line(file))
        return 0
    folder = model_folders(options.weights_dir)[0]
    for file in [find(name) for name in options.names]:  # all names first: no half-done order
        _fetch(file, folder, options.allow_unverified)
    return 0


def _fetch(file: "KnownFile", folder: Path, allow_unverified: bool) -> None:
    from tqdm import tqdm

    from ..downloads import download
    from ..files import file_sha256
    from ..models.registry import check_kind

    print(_line(file))
    check = partial(check_kind, wanted=file.kind) if allow_unverified else None
    with tqdm(desc=file.name, unit="B", unit_scale=True, leave=False, disable=None) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        path = download(file, folder, report, check=check)
    print(path)
    if file.sha256 is None:
        print(f"not verified; its sha256 is {file_sha256(path)}")


def _line(file: "KnownFile") -> str:
    size = f"{file.bytes / 1e6:.0f} MB" if file.bytes else "size unknown"
    return f"{file.name}  ({file.kind}, {size}, {file.licence})"
