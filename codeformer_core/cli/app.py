"""`codeformer app`: the page for people without ComfyUI."""

import argparse

from .options import (
    Commands,
    add_model_options,
    load_face_detector,
    load_network,
    load_upscaler,
    number_between,
)


def add_parser(commands: Commands) -> argparse.ArgumentParser:
    """Describe the command."""
    parser = commands.add_parser(
        "app",
        help="a page in the browser: picture or clip in, before and after, download",
        description="Show a page that restores a picture or a clip (package gradio, extra `app`). "
        "It listens on this computer only unless --host says otherwise, and keeps nothing.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0 lets everybody in who reaches this computer "
        "(default: 127.0.0.1, this computer only)",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port (default: the first free from 7860 on)"
    )
    parser.add_argument(
        "--upscaler",
        default="builtin",
        metavar="FILE",
        help="weights for Background_Enhance and Face_Upsample instead of the package's own, such "
        "as RealESRGAN_x2plus.pth (with the package spandrel)",
    )
    parser.add_argument(
        "--max-megabytes", type=int, default=200, metavar="MB", help="largest file (default: 200)"
    )
    parser.add_argument(
        "--max-megapixels",
        type=number_between(1, 1e6),
        default=50.0,
        metavar="MP",
        help="largest picture, as it comes and as it goes (default: 50)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    add_model_options(parser)
    parser.set_defaults(run=run)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    from ..app.page import serving
    from ..app.service import Service

    upscaler = load_upscaler(options, options.upscaler)
    network, detector = load_network(options), load_face_detector(options)
    service = Service(network, detector, upscaler, options.max_megapixels, options.fidelity)
    shown = serving(
        service,
        host=options.host,
        port=options.port,
        max_megabytes=options.max_megabytes,
        open_browser=options.open,
    )
    with shown as page:
        print(f"{page.local_url} (Ctrl-C ends it)", flush=True)
        page.block_thread()
    return 0
