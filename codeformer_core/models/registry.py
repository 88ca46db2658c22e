"""The one table of weight files: how each kind is recognised, what it is for, how it is built.

A file is read once, recognised once and built by its row. To add a detector or a restorer, write
its file and give it a row here (CONTRIBUTING.md shows it).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from ..faces.detection import retinaface, yolov5_face
from ..networks import CodeFormerConfig, VQGANConfig
from ..networks.layers import Operations
from ..runtime import check_device
from . import enlarger, layout, onnx_restorer, spandrel_restorer
from .build import NETWORK_DTYPES, build_codeformer, build_vqgan, check_complete
from .empty import build_empty

Role = Literal["restorer", "detector", "parser", "upscaler"]
"""What a model does: it restores aligned faces, finds faces, marks what is face in a crop, or
enlarges pictures."""
Config = CodeFormerConfig | VQGANConfig

ADVICE: dict[Role, str] = {
    "restorer": "use it as the model that restores (Load CodeFormer)",
    "detector": "use it as the face detector (Load Face Detector)",
    "parser": "use it as the face parser (Load Face Parser)",
    "upscaler": "use it to enlarge backgrounds (codeformer app --upscaler)",
}
"""Where a model of a role belongs."""


@dataclass(frozen=True)
class ModelKind:
    """One kind of weight file."""

    kind: str
    """Its name."""
    title: str
    """What to call it before a person."""
    fits: Fits
    """Whether a file is of this kind, from its keys and shapes."""
    role: Role | None = None
    """What it does; None if it is recognised only, or needed for training only."""
    build: Callable[[WeightFile, Target], Any] | None = None
    """Makes of a file what the role says; None if nothing here does."""
    config: Callable[[WeightFile], Config] | None = None
    """Reads the sizes, for the networks of this library."""
    check: Callable[[WeightFile], None] | None = None
    """Raises a CheckpointError if a file is not what it looks like, where `config` says nothing."""
    elsewhere: str = ""
    """Where it belongs, as one sentence, if it has no role."""

    @property
    def advice(self) -> str:
        """Where it belongs, as one sentence."""
        return ADVICE[self.role] if self.role else self.elsewhere


KINDS: tuple[ModelKind, ...] = (
    ModelKind(
        "onnx",
        "a face restorer as an ONNX graph",
        onnx_restorer.is_graph,
        "restorer",
        onnx_restorer.build_onnx,
        check=onnx_restorer.check_graph,
    ),
    ModelKind(
        "codeformer",
        "a CodeFormer",
        layout.CODEFORMER,
        "restorer",
        build_codeformer,
        layout.codeformer_config,
    ),
    ModelKind(
        "gfpgan",
        "a GFPGAN",
        spandrel_restorer.GFPGAN,
        "restorer",
        spandrel_restorer.build_spandrel,
    ),
    ModelKind(
        "restoreformer",
        "a RestoreFormer",
        spandrel_restorer.RESTOREFORMER,
        "restorer",
        spandrel_restorer.build_spandrel,
    ),
    *(
        ModelKind(
            f"retinaface_{backbone}",
            f"a RetinaFace detector ({backbone})",
            fits,
            "detector",
            partial(retinaface.build_retinaface, backbone=backbone),
        )
        for backbone, fits in retinaface.FITS.items()
    ),
    ModelKind(
        "yolov5-face",
        "a YOLOv5 face detector",
        yolov5_face.FITS,
        "detector",
        yolov5_face.build_yolov5_face,
    ),
    *(
        ModelKind(
            kind,
            f"a face parser ({kind})",
            fits,
            "parser",
            partial(parsing.build_parser, kind=kind),
        )
        for kind, fits in parsing.FITS.items()
    ),
    ModelKind(
        "enlarger",
        "an upscaler of this library",
        enlarger.FITS,
        "upscaler",
        enlarger.build_enlarger,
    ),
    ModelKind(
        "vqgan",
        "a stage I VQGAN",
        layout.VQGAN,
        None,
        build_vqgan,
        layout.vqgan_config,
        elsewhere="it holds no transformer, so it restores nothing by itself: use load_vqgan, or "
        "train stages II and III on it",
    ),
    ModelKind(
        "esrgan",
        "an ESRGAN upscaler",
        any_of(
            has_keys("conv_first.", "body.0.rdb1."),
            has_keys("conv_first.", "RRDB_trunk."),
            has_keys("model.0.weight", "model.1.sub."),
        ),
        elsewhere="load it with Load Upscale Model and connect it as upscale_model",
    ),
    ModelKind(
        "discriminator",
        "a GAN discriminator",
        has_keys("main.0.weight", "main.2.weight"),
        elsewhere="it is needed for training only; choose the network trained with it",
    ),
    ModelKind(
        "stable-diffusion",
        "a diffusion checkpoint",
        has_keys("model.diffusion_model."),
        elsewhere="load it with Load Checkpoint; CodeFormer comes after VAE Decode",
    ),
    ModelKind(
        "personal-adapter",
        "a personal adapter",
        has_keys("adapter.", "base.sample"),
        elsewhere="use it with Apply Person or --person, on the model it was made for",
    ),
    ModelKind(
        "references",
        "a conditioning on reference photos",
        has_keys("conditioning.sides.", "base.sample"),
        elsewhere="call it NAME_references.safetensors and keep it among the models: it is used "
        "where reference photos are given to the model that it was trained beside",
    ),
    ModelKind(
        "unknown",
        "a network this library does not know",
        has_keys(),
        elsewhere="choose a file of CodeFormer, GFPGAN, RestoreFormer, RetinaFace, YOLOv5-face, "
        "ParseNet or BiSeNet",
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
        noun = next((row.title for row in KINDS if row.kind == wanted), f"a face {wanted}")
        raise CheckpointError(f"{file.path.name}: is {kind.title}, not {noun}: {kind.advice}")
    return build(kind, file, target)


def build(kind: ModelKind, file: WeightFile, target: Target) -> Any:
    """Build what a file holds.

    Raises:
        MissingModelError: a package that runs it is not installed.
        CheckpointError: the file is incomplete, contradicts itself, or nothing here runs it.
    """
    if kind.build is None:
        raise CheckpointError(f"{file.path.name}: is {kind.title}: {kind.advice}")
    with _misfits(kind, file):
        return kind.build(file, target)


def read_config(kind: ModelKind, file: WeightFile) -> Config | None:
    """Sizes of a file's network; None if it is none of this library.

    Raises:
        CheckpointError: sizes contradict each other or keys are missing; the first is named.
    """
    with _misfits(kind, file):
        return None if kind.config is None else kind.config(file)


def check_whole(file: WeightFile, kind: ModelKind, config: Config | None) -> None:
    """Check that a file has all tensors of a network of this library and no other.

    Raises:
        CheckpointError: tensors are missing, left over or of another shape, or it is an ONNX graph
            that does something else.
    """
    if kind.check is not None:
        with _misfits(kind, file):
            kind.check(file)
    if config is not None:
        with _misfits(kind, file):
            check_complete(build_empty(config), from_published(file.state))


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


@contextmanager
def _misfits(kind: ModelKind, file: WeightFile) -> Iterator[None]:
    """Name the file, and what it was taken for, in errors about its content."""
    try:
        yield
    except (CheckpointError, SettingError) as error:
        raise CheckpointError(f"{file.path.name}: looks like {kind.title}, but {error}") from error
