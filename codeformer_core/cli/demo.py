"""`codeformer demo`: see what restoration does, without any file of your own."""

import argparse
from pathlib import Path

from .options import Commands, add_model_options, load_face_detector, load_network

OUTPUT = Path("codeformer-demo")


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "demo",
        help="degrade a real photo, restore it and compare",
        description="Degrade a real photo (scikit-image's astronaut), restore it, write both and "
        "a side-by-side picture, and print how close each is to the clean photo.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="DIR",
        help=f"folder for the pictures (default: {OUTPUT})",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..evaluation.demo import run_demo
    from ..images import Picture, make_folder, write_picture
    from ..runtime import Runtime
    from .progress import steps

    make_folder(options.output)
    network, detector = load_network(options), load_face_detector(options)
    with steps("restoring") as on_progress:
        runtime = Runtime(on_progress)
        demo = run_demo(network, detector, fidelity=options.fidelity, runtime=runtime)
    pictures = {
        "input.png": demo.degraded,
        "output.png": demo.result.image,
        "side_by_side.png": demo.sheet,
    }
    for name, pixels in pictures.items():
        write_picture(options.output / name, Picture(pixels))
    print(f"input:        {options.output / 'input.png'}")
    print(f"  {demo.before} to the clean photo")
    print(f"output:       {options.output / 'output.png'}")
    print(f"  {demo.after} to the clean photo")
    print(f"side by side: {options.output / 'side_by_side.png'}")
    for warning in demo.result.warnings:
        print(f"note: {warning}")
    return 0
