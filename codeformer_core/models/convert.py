"""Convert weight files between formats, checked on the way in."""

from pathlib import Path

import torch

from ..checkpoints.reader import Metadata, State, WeightFile, read_weights
from ..checkpoints.write import config_metadata, write_state
from ..downloads.catalogue import published
from ..errors import CheckpointError, SettingError
from ..files import file_sha256
from .registry import check_whole, read_config, recognise


def convert(
    source: str | Path,
    target: str | Path,
    *,
    dtype: torch.dtype | None = None,
    overwrite: bool = False,
) -> Path:
    """Convert a weight file, typically .pth to .safetensors, number for number.

    Args:
        source: any file this library recognises: CodeFormer, VQGAN, RetinaFace, ParseNet, BiSeNet.
        target: .safetensors or .pth; flat published keys with metadata (kind, variant, heads,
            image size, licence if known, name and hash of the source).
        dtype: round all numbers to this type, which may halve the file; None keeps them.
        overwrite: replace an existing target.

    Returns:
        The target.

    Raises:
        MissingModelError: there is no such source.
        CheckpointError: the source is damaged, incomplete or not recognised, holds numbers too
            large for `dtype`, or the target exists or cannot be written.
        SettingError: the target has another suffix, or is the source.
    """
    source, target = Path(source), Path(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise SettingError(f"{target}: source and target are the same file")
    if target.exists() and not overwrite:
        raise CheckpointError(f"{target}: exists already; choose another name or overwrite it")
    file = read_weights(source)
    if file.graph is not None:
        raise CheckpointError(
            f"{source.name}: is an ONNX graph, which is a network and not only its weights: it "
            "runs as it is and cannot be converted"
        )
    described = _described(file)
    state = file.state if dtype is None else _rounded(file.state, dtype, source)
    return write_state(target, state, {**file.metadata, **described})


def _rounded(state: State, dtype: torch.dtype, source: Path) -> State:
    """The floating point numbers in another type.

    Raises:
        CheckpointError: a number is too large for it.
    """
    rounded = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in state.items()
    }
    for key, tensor in rounded.items():
        if not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{source.name}: {key} holds numbers too large for {dtype}; keep its own type"
            )
    return rounded


def _described(file: WeightFile) -> Metadata:
    """What the new file says about itself and about where it comes from.

    Raises:
        CheckpointError: the file is incomplete or not recognised.
    """
    kind = recognise(file)
    if kind.kind == "unknown":
        raise CheckpointError(f"{file.path.name}: is {kind.title}: {kind.advice}")
    config, sha256 = read_config(kind, file), file_sha256(file.path)
    check_whole(file, kind, config)
    described = config_metadata(config) if config else {"kind": kind.kind}
    described |= {"source": file.path.name, "source_sha256": sha256}
    known = published(sha256)
    if known and "licence" not in file.metadata:
        described["licence"] = known.licence
    return described
