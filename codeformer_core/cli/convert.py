"""`codeformer convert`: from .pth to .safetensors."""

import argparse
from pathlib import Path

from .options import Commands


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "convert",
        help="convert a weight file to safetensors",
        description="Convert a weight file, number for number unless another type is asked for, "
        "with what is known of it as metadata. The source stays.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument(
        "target",
        type=Path,
        nargs="?",
        metavar="TARGET",
        help="default: the source's name ending in .safetensors",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16", "bfloat16"),
        help="round all numbers to this type; default: as they are",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing target")
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    import torch

    from ..models import convert

    dtype = getattr(torch, options.dtype) if options.dtype else None
    target = options.target or options.source.with_suffix(".safetensors")
    written = convert(options.source, target, dtype=dtype, overwrite=options.overwrite)
    print(f"{options.source} -> {written}")
    return 0
