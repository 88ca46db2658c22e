"""Load models by path or by name."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checkpoints.reader import Metadata, State, WeightFile, read_weights
from ..downloads import KnownFile, catalogue
from ..errors import MissingModelError
from ..faces import FaceDetector, FaceParser, YuNetDetector
from ..networks import VQGAN, CodeFormer, prepare_for_inference
from ..networks.layers import Operations
from .folders import find_file, find_known, model_folders
from .registry import KINDS, Role, build, checked_target, load, recognise
from .restorer import LABEL, Restorer
from .spandrel_upscaler import spandrel_upscaler
from .upscaler import TiledUpscaler

log = logging.getLogger("CodeFormer")

BUILTIN, BUILTIN_COLORIZATION = BUILTINS = ("builtin", "builtin_colorization")
"""The names of the models that come with the package."""
BUILTIN_FOLDER = Path(__file__).parent.parent / "weights"
"""Where they lie."""
OWN_UPSCALER = BUILTIN_FOLDER / "enlarger.safetensors"
"""What enlarges backgrounds where nothing else is chosen."""
AUTO = "auto"
"""The name of the best detector that is there."""
OWN_DETECTOR = "yunet"
"""The name of the detector that comes with the package."""
FORMER_DETECTOR = "dlib"
"""Which another one has replaced, in commands and workflows of before."""


def known_files(role: Role) -> list[KnownFile]:
    """The published files that play a role, those of the best kind first."""
    kinds = [kind.kind for kind in KINDS if kind.role == role]
    return [file for kind in kinds for file in catalogue.KNOWN_FILES if file.kind == kind]


def automatic_detectors() -> list[KnownFile]:
    """The detectors that "auto" looks for: not YOLOv5-face, which nobody measured against YuNet."""
    return [file for file in known_files("detector") if file.kind.startswith("retinaface")]


# -------------------------------------------------------------------------------- restorers


def load_codeformer(
    path_or_name: str | Path,
    *,
    folders: Sequence[Path] = (),
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> CodeFormer:
    """Load a CodeFormer, ready to restore faces.

    Args:
        path_or_name: a weight file, the name of a known one such as "codeformer.pth", or "builtin"
            for the model that comes with the package ("builtin_colorization": its
            variant that gives colours).
        folders: where known files are looked for; none means `model_folders()`.
        device: where the weights go; "auto" takes the fastest.
        dtype: float32, float16 or bfloat16; None keeps the file's own.

    Returns:
        The network in evaluation mode, without gradients, made fast: to train or save one, use
        `load_network`. `network(crops, fidelity=...)` takes and returns (N, 3, S, S) in -1..1 with
        S = `network.size`.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
        CheckpointError: the file is damaged, or is no CodeFormer.
        SettingError: the device or the type cannot be used.
    """
    network = load_network(find_restorer(path_or_name, folders), device=device, dtype=dtype)
    return prepare_for_inference(network)


def load_restorer(
    path_or_name: str | Path = BUILTIN,
    *,
    folders: Sequence[Path] = (),
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> Restorer:
    """Load a CodeFormer as `load_codeformer` does, or a face restorer of others.

    Args:
        path_or_name: a weight file, the name of a known one, or "builtin".
        folders: where known files are looked for; none means `model_folders()`.
        operations: where a CodeFormer's layer classes come from; `torch.nn`, or a host's.
        device: where the weights go; "auto" takes the fastest.
        dtype: float32, float16 or bfloat16; None keeps the file's own, as restorers of others do.

    Raises:
        MissingModelError: there is no such file, or no package that runs it.
        CheckpointError: the file is damaged, or restores no faces.
        SettingError: the device or the type cannot be used.
    """
    path = find_restorer(path_or_name, folders)
    network = load(path, "restorer", operations=operations, device=device, dtype=dtype)
    if isinstance(network, CodeFormer):
        prepare_for_inference(network, operations)
    setattr(network, LABEL, path.stem)
    return network


def load_network(
    path: str | Path,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> CodeFormer:
    """Load a CodeFormer of any size and variant from a file, to train, change or save it.

    Args:
        path: .safetensors or .pth in the published layout or ours.
        operations: where layer classes come from; `torch.nn`, or a host's casting layers.
        device: where the weights go.
        dtype: float32, float16 or bfloat16; None keeps the file's own, and on the CPU the weights
            then stay mapped to the file.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: the file is damaged, incomplete, or of another kind.
        SettingError: the device or the type cannot be used.
    """
    return load(path, "codeformer", operations=operations, device=device, dtype=dtype)


def load_vqgan(
    path: str | Path,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> VQGAN:
    """Load a stage I autoencoder from a file; arguments and errors as of `load_network`."""
    return load(path, "vqgan", operations=operations, device=device, dtype=dtype)


def network_from_state(
    state: State,
    metadata: Metadata | None = None,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> CodeFormer | VQGAN:
    """Build the network a state dict belongs to and give it the tensors.

    Args:
        state: flat tensors, published names or ours.
        metadata: says what shapes cannot, such as `variant`, `heads`, `image_size` and
            `code_temperature`.
        operations: as of `load_network`, like the rest.
        device: where the weights go.
        dtype: None keeps the state's own.

    Returns:
        The network in evaluation mode, without gradients; it shares the tensors that need neither
        a cast nor a move.

    Raises:
        CheckpointError: incomplete, of another kind, or not all finite.
        SettingError: the device or the type cannot be used.
    """
    file = WeightFile(dict(state), metadata or {})
    return build(recognise(file), file, checked_target(operations, device, dtype))


def find_restorer(name: str | Path, folders: Sequence[Path] = ()) -> Path:
    """Path of the file that `load_restorer` loads, with the same arguments.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
    """
    if str(name) not in BUILTINS:
        return find_file(name, folders, [*BUILTINS, *_names("restorer")])
    path = BUILTIN_FOLDER / f"{name}.safetensors"
    if not path.exists():
        raise MissingModelError(f"{path}: the built-in model is missing; install the package again")
    return path


# -------------------------------------------------------------------------------- detectors


def load_detector(
    name: str | Path | None = AUTO,
    *,
    folders: Sequence[Path] = (),
    device: torch.device | str = "cpu",
) -> FaceDetector:
    """Load a face detector.

    Args:
        name: "yunet", which comes with the package, the path of a detector's file, the name of a
            known one such as "retinaface_resnet50", or "auto": a known one if it is in the folders
            and can run, else YuNet.
        folders: where known files are looked for; none means `model_folders()`.
        device: where a network goes; "auto" takes the fastest.

    Raises:
        MissingModelError: no such file, or no package that runs it; the message names the choices.
        CheckpointError: the file is damaged, or no face detector.
        SettingError: the device cannot be used.
    """
    path = find_detector(name, folders)
    if name == FORMER_DETECTOR:
        log.warning("dlib is no longer a choice: YuNet finds the faces")
    if path is None:
        return own_detector()
    try:
        return load(path, "detector", device=device)
    except MissingModelError as problem:  # the package that runs it
        if name != AUTO:
            raise
        log.warning("%s: YuNet finds the faces instead, because %s", path.name, problem)
        return own_detector()


def find_detector(name: str | Path | None = AUTO, folders: Sequence[Path] = ()) -> Path | None:
    """Path of the file that `load_detector` loads; None if it takes the package's own detector.

    Raises:
        MissingModelError: there is no such file; the message names the choices.
    """
    if name in (None, OWN_DETECTOR, FORMER_DETECTOR):
        return None
    if name == AUTO:
        return best_detector(folders or model_folders())
    return find_file(name, folders, [AUTO, OWN_DETECTOR, *_names("detector")])


def best_detector(folders: Sequence[Path]) -> Path | None:
    """The best known detector in the folders, also a converted one."""
    found = (find_known(file, folders) for file in automatic_detectors())
    return next((path for path in found if path is not None), None)


def own_detector() -> FaceDetector:
    """The detector that comes with the package."""
    return YuNetDetector()


# ---------------------------------------------------------------------------------- parsers


def load_parser(
    name: str | Path,
    *,
    folders: Sequence[Path] = (),
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> FaceParser:
    """Load what marks the face in a crop.

    Args:
        name: the path of a parser's file, or the name of a known one such as "parsenet".
        folders: where known files are looked for; none means `model_folders()`.
        device: where the network goes; "auto" takes the fastest.
        dtype: float32, float16 or bfloat16; None keeps the file's own.

    Raises:
        MissingModelError: no such file, or no package that runs it; the message names the choices.
        CheckpointError: the file is damaged, or no face parser.
        SettingError: the device or the type cannot be used.
    """
    return load(find_parser(name, folders), "parser", device=device, dtype=dtype)


def find_parser(name: str | Path, folders: Sequence[Path] = ()) -> Path:
    """The file of a parser by path, or by the name of a known one.

    Raises:
        MissingModelError: there is none; the message names the choices.
    """
    return find_file(name, folders, _names("parser"))


# -------------------------------------------------------------------------------- upscalers


def load_upscaler(
    path_or_name: str | Path = BUILTIN,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> TiledUpscaler:
    """Load a network that enlarges pictures.

    Args:
        path_or_name: a weight file of this library's, or of one that the package spandrel knows,
            such as a Real-ESRGAN; or "builtin".
        operations: where the layer classes of our own come from; `torch.nn`, or a host's.
        device: where the weights go; "auto" takes the fastest.
        dtype: float32, float16 or bfloat16; None keeps the file's own, as those of others do.

    Raises:
        MissingModelError: there is no such file, or spandrel is not installed.
        CheckpointError: the file is damaged, or no upscaler of pictures.
        SettingError: the device or the type cannot be used.
    """
    target = checked_target(operations, device, dtype)
    file = read_weights(OWN_UPSCALER if path_or_name == BUILTIN else path_or_name)
    kind = recognise(file)
    return build(kind, file, target) if kind.role == "upscaler" else spandrel_upscaler(file, target)


def _names(role: Role) -> list[str]:
    return [file.name for file in known_files(role)]
