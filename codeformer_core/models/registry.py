"""The one table of weight files: how each kind is recognised, what it is for, how it is built.

A file is read once, recognised once and built by its row. To add a detector or a restorer, write
its file and give it a row here (CONTRIBUTING.md shows it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..checkpoints.building import Fits, Target, any_of, has_keys
from ..checkpoints.names import from_published
from ..checkpoints.reader import WeightFile, read_weights
from ..errors import CheckpointError, SettingError
from ..faces import parsing
from ..faces.detection import retinaface
from ..networks import CodeFormerConfig, VQGANConfig
from ..networks.layers import Operations
from ..runtime import check_device
from . import layout, spandrel_restorer
from .build import NETWORK_DTYPES, build_codeformer, build_vqgan, check_complete
from .empty import build_empty

Role = Literal["restorer", "detector", "parser"]
"""What a model does: it restores aligned faces, finds faces, or marks what is face in a crop."""
Config = CodeFormerConfig | VQGANConfig

NOUNS = {
    "restorer": "face restorer",
    "detector": "face detector",
    "parser": "face parser",
    "codeformer": "CodeFormer",
    "vqgan": "VQGAN",
}
"""What to call before a person what a file was wanted as."""


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """One kind of weight file."""

    kind: str
    """Its name."""
    title: str
    """What to call it before a person."""
    advice: str
    """Where it belongs, as one sentence."""
    fits: Fits
    """Whether a file is of this kind, from its keys and shapes."""
    role: Role | None = None
    """What it does; None if it is recognised only, or needed for training only."""
    build: Callable[[WeightFile, Target], Any] | None = None
    """Makes of a file what the role says; None if nothing here does."""
    config: Callable[[WeightFile], Config] | None = None
    """Reads the sizes, for the networks of this library."""


_RESTORER = "use it as the model that restores (Load CodeFormer)"
_DETECTOR = "use it as the face detector (Load Face Detector)"
_PARSER = "use it as the face parser (Load Face Parser)"

KINDS: tuple[ModelKind, ...] = (
    ModelKind(
        kind="codeformer",
        role="restorer",
        title="a CodeFormer",
        advice=_RESTORER,
        fits=layout.CODEFORMER,
        build=build_codeformer,
        config=layout.codeformer_config,
    ),
    ModelKind(
        kind="vqgan",
        title="a stage I VQGAN",
        advice="it holds no transformer, so it restores nothing by itself: use load_vqgan, or "
        "train stages II and III on it",
        fits=layout.VQGAN,
        build=build_vqgan,
        config=layout.vqgan_config,
    ),
    ModelKind(
        kind="gfpgan",
        role="restorer",
        title="a GFPGAN",
        advice=_RESTORER,
        fits=spandrel_restorer.GFPGAN,
        build=spandrel_restorer.build_spandrel,
    ),
    ModelKind(
        kind="restoreformer",
        role="restorer",
        title="a RestoreFormer",
        advice=_RESTORER,
        fits=spandrel_restorer.RESTOREFORMER,
        build=spandrel_restorer.build_spandrel,
    ),
    ModelKind(
        kind="retinaface_resnet50",
        role="detector",
        title="a RetinaFace detector (ResNet50)",
        advice=_DETECTOR,
        fits=retinaface.FITS["resnet50"],
        build=partial(retinaface.build_retinaface, backbone="resnet50"),
    ),
    ModelKind(
        kind="retinaface_mobile0.25",
        role="detector",
        title="a RetinaFace detector (MobileNet 0.25)",
        advice=_DETECTOR,
        fits=retinaface.FITS["mobile0.25"],
        build=partial(retinaface.build_retinaface, backbone="mobile0.25"),
    ),
    ModelKind(
        kind="parsenet",
        role="parser",
        title="a ParseNet face parser",
        advice=_PARSER,
        fits=parsing.FITS["parsenet"],
        build=partial(parsing.build_parser, kind="parsenet"),
    ),
    ModelKind(
        kind="bisenet",
        role="parser",
        title="a BiSeNet face parser",
        advice=_PARSER,
        fits=parsing.FITS["bisenet"],
        build=partial(parsing.build_parser, kind="bisenet"),
    ),
    ModelKind(
        kind="esrgan",
        title="an ESRGAN upscaler",
        advice="load it with Load Upscale Model and connect it as upscale_model",
        fits=any_of(
            has_keys("conv_first.", "body.0.rdb1."),
            has_keys("conv_first.", "RRDB_trunk."),
            has_keys("model.0.weight", "model.1.sub."),
        ),
    ),
    ModelKind(
        kind="yolov5-face",
        title="a YOLOv5 face detector",
        advice="this library does not run it; choose retinaface_resnet50 or retinaface_mobile0.25",
        fits=has_keys("model.0.stem_1."),
    ),
    ModelKind(
        kind="discriminator",
        title="a GAN discriminator",
        advice="it is needed for training only; choose the network trained with it",
        fits=has_keys("main.0.weight", "main.2.weight"),
    ),
    ModelKind(
        kind="stable-diffusion",
        title="a diffusion checkpoint",
        advice="load it with Load Checkpoint; CodeFormer comes after VAE Decode",
        fits=has_keys("model.diffusion_model."),
    ),
    ModelKind(
        kind="unknown",
        title="a network this library does not know",
        advice="choose a CodeFormer, GFPGAN, RestoreFormer, RetinaFace, ParseNet or BiSeNet file",
        fits=has_keys(),
    ),
)
"""Every kind that is recognised; the first that fits counts, and the last fits all."""


def recognise(file: WeightFile) -> ModelKind:
    """The kind of a file, from its keys and shapes alone; never fails."""
    return next(kind for kind in KINDS if kind.fits(file))


def load(
    path: str | Path,
    wanted: str,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Any:
    """Read a file once, recognise it once, and build what it holds.

    Args:
        path: a weight file.
        wanted: the role it is to play, or the kind it is to be.
        operations: where layer classes come from, if it is a network of this library.
        device: where the weights go; "auto" takes the fastest.
        dtype: float32, float16 or bfloat16; None keeps the file's own.

    Returns:
        What the role says, in evaluation mode, without gradients.

    Raises:
        MissingModelError: there is no such file, or a package that runs it is not installed.
        CheckpointError: the file is damaged, incomplete, or of another kind.
        SettingError: the device or the type cannot be used.
    """
    target = checked_target(operations, device, dtype)
    file = read_weights(path)
    kind = recognise(file)
    if wanted not in (kind.role, kind.kind):
        raise CheckpointError(
            f"{file.path.name}: is {kind.title}, no {NOUNS.get(wanted, wanted)}: {kind.advice}"
        )
    return build(kind, file, target)


def build(kind: ModelKind, file: WeightFile, target: Target) -> Any:
    """Build what a file holds.

    Raises:
        MissingModelError: a package that runs it is not installed.
        CheckpointError: the file is incomplete, contradicts itself, or nothing here runs it.
    """
    if kind.build is None:
        raise CheckpointError(f"{file.path.name}: is {kind.title}: {kind.advice}")
    try:
        return kind.build(file, target)
    except (CheckpointError, SettingError) as error:
        raise _misfit(kind, file, error) from error


def read_config(kind: ModelKind, file: WeightFile) -> Config | None:
    """Sizes of a file's network; None if it is none of this library.

    Raises:
        CheckpointError: sizes contradict each other or keys are missing; the first is named.
    """
    try:
        return None if kind.config is None else kind.config(file)
    except (CheckpointError, SettingError) as error:
        raise _misfit(kind, file, error) from error


def check_whole(kind: ModelKind, file: WeightFile) -> Config | None:
    """Sizes of a file's network, which has every tensor that they ask for.

    Raises:
        CheckpointError: as `read_config`, or tensors are missing, left over or of another shape.
    """
    config = read_config(kind, file)
    if config is not None:
        try:
            check_complete(build_empty(config), from_published(file.state))
        except CheckpointError as error:
            raise _misfit(kind, file, error) from error
    return config


def check_kind(path: Path, wanted: str) -> None:
    """Check that a file is harmless and of a kind.

    Raises:
        CheckpointError: it is not.
    """
    kind = recognise(read_weights(path))
    if kind.kind != wanted:
        raise CheckpointError(f"it is {kind.title}")


def checked_target(
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Target:
    """How a network is wanted.

    Raises:
        SettingError: the device or the type cannot be used.
    """
    if dtype is not None and dtype not in NETWORK_DTYPES:
        names = ", ".join(str(choice).removeprefix("torch.") for choice in NETWORK_DTYPES)
        raise SettingError(f"networks run in {names}, not in {dtype}")
    return Target(operations, check_device(device), dtype)


def _misfit(kind: ModelKind, file: WeightFile, error: Exception) -> CheckpointError:
    return CheckpointError(f"{file.path.name}: looks like {kind.title}, but {error}")
