"""Options that several commands share, and the models they name."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..faces import FaceDetector, FaceParser
    from ..models.restorer import Restorer
    from ..models.upscaler import TiledUpscaler
    from ..networks import CodeFormer

Commands = Any
"""What `ArgumentParser.add_subparsers` returns; argparse keeps its name private."""

DTYPES = ("auto", "float32", "bfloat16", "float16")


AUTO = "auto"
"""In place of a fidelity: each face gets its own."""


def add_model_options(parser: argparse.ArgumentParser, *, automatic: bool = False) -> None:
    """Options that say what restores the faces and how.

    Args:
        parser: of the command.
        automatic: whether the fidelity may be "auto".
    """
    or_auto = ", or auto: what suits each face" if automatic else ""
    parser.add_argument(
        "--fidelity",
        type=_fidelity if automatic else number_between(0, 1),
        default=0.5,
        metavar="W",
        help=f"0 for the best quality to 1 for the closest likeness{or_auto} (default: 0.5)",
    )
    parser.add_argument(
        "--model",
        default="builtin",
        metavar="NAME",
        help="builtin, the path of a weight file (CodeFormer; GFPGAN and RestoreFormer with the "
        "package spandrel; ONNX graphs with onnxruntime), or the name of a downloaded one such as "
        "codeformer.pth (default: builtin)",
    )
    add_dtype_option(parser)
    add_detector_options(parser)


def add_dtype_option(parser: argparse.ArgumentParser, default: str = "auto") -> None:
    """The option that says how the network computes."""
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default=default,
        help="number type of the network; auto is bfloat16 where the device is faster with it, "
        f"else float32 (default: {default})",
    )


def add_detector_options(parser: argparse.ArgumentParser) -> None:
    """Options that say what finds faces, and where models are looked for and run."""
    parser.add_argument(
        "--detector",
        default="auto",
        metavar="NAME",
        help="yunet, the path of a detector's file, the name of a downloaded one such as "
        "retinaface_resnet50, or auto: RetinaFace where its weights and facexlib are, else yunet "
        "(default: auto)",
    )
    parser.add_argument(
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="look for model files here first, then in the folders of the environment variable "
        "CODEFORMER_MODELS and in the cache",
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, mps ... (default: the fastest)"
    )


def number_between(low: float, high: float) -> Any:
    """Argparse type: a number of an interval."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return value

    return parse


def _fidelity(text: str) -> float | str:
    """Argparse type: a fidelity, or "auto"."""
    return AUTO if text == AUTO else number_between(0, 1)(text)


def load_network(options: argparse.Namespace) -> "Restorer":
    """What the options say restores the faces: a CodeFormer or another restorer.

    Raises:
        MissingModelError: there is no such file, or no package that runs it.
        CheckpointError: the file is damaged, or restores no faces.
        SettingError: the device cannot be used.
    """
    from ..models import load_restorer

    return load_restorer(options.model, **_wanted(options))


def load_upscaler(options: argparse.Namespace, name: "str | Path" = "builtin") -> "TiledUpscaler":
    """What enlarges pictures: the upscaler of the package, or a file's.

    Raises:
        MissingModelError: there is no such file, or no package that runs it.
        CheckpointError: the file is damaged, or no upscaler.
        SettingError: the device cannot be used.
    """
    from ..models import load_upscaler

    wanted = _wanted(options)
    return load_upscaler(name, device=wanted["device"], dtype=wanted["dtype"])


def load_codeformer(options: argparse.Namespace) -> "CodeFormer":
    """`load_network`, where nothing but a CodeFormer will do."""
    from .. import models

    return models.load_codeformer(options.model, **_wanted(options))


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    """Folders, device and number type that the options name."""
    import torch

    from ..models.folders import model_folders
    from ..runtime import check_device, fastest_dtype

    device = check_device(options.device)
    dtype = fastest_dtype(device) if options.dtype == "auto" else getattr(torch, options.dtype)
    return {"folders": model_folders(options.weights_dir), "device": device, "dtype": dtype}


def load_face_detector(options: argparse.Namespace) -> "FaceDetector":
    """The detector that the options name.

    Raises:
        MissingModelError: its weights or package are not there.
        CheckpointError: its file is damaged, or of another kind.
        SettingError: the device cannot be used.
    """
    from ..models import load_detector
    from ..models.folders import model_folders

    folders = model_folders(options.weights_dir)
    return load_detector(options.detector, folders=folders, device=options.device)


def load_face_parser(options: argparse.Namespace) -> "FaceParser | None":
    """The parser that the options name, if they name one.

    Raises:
        MissingModelError: its file or package is not there.
        CheckpointError: its file is damaged, or of another kind.
    """
    from ..models import load_parser
    from ..models.folders import model_folders

    if not options.parser:
        return None
    folders = model_folders(options.weights_dir)
    return load_parser(options.parser, folders=folders, device=options.device)


def weight_files(options: argparse.Namespace) -> "list[Path | None]":
    """Files of network, detector and parser, None for one without; of aligned faces only the first.

    Raises:
        MissingModelError: there is no such file.
    """
    from ..models.folders import model_folders
    from ..models.load import find_detector, find_parser, find_restorer

    folders = model_folders(options.weights_dir)
    model = find_restorer(options.model, folders)
    if options.aligned:
        return [model]
    parser = find_parser(options.parser, folders) if options.parser else None
    return [model, find_detector(options.detector, folders), parser]
