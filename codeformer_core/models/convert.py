"""Convert weight files between formats, checked on the way in."""

from pathlib import Path

import torch

from ..checkpoints.names import to_network
from ..checkpoints.reader import Metadata, State, read_state
from ..checkpoints.write import config_metadata, file_sha256, write_state
from ..downloads.catalogue import KNOWN_FILES
from ..errors import CheckpointError, SettingError
from .empty import build_empty
from .identify import CheckpointInfo, check_complete, identify


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
    state, metadata = read_state(source)
    try:
        info = _checked_info(state, metadata)
    except CheckpointError as error:
        raise CheckpointError(f"{source.name}: {error}") from error
    if dtype is not None:
        state = _rounded(state, dtype, source)
    return write_state(target, state, {**metadata, **_provenance(source, info, metadata)})


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


def _checked_info(state: State, metadata: Metadata) -> CheckpointInfo:
    info = identify(state, metadata)
    if info.kind == "unknown":
        raise CheckpointError(f"is {info.title}: {info.advice}")
    if info.config is not None:
        check_complete(build_empty(info.config), to_network(state))
    return info


def _provenance(source: Path, info: CheckpointInfo, metadata: Metadata) -> Metadata:
    """What the new file says about itself and about where it comes from."""
    sha256 = file_sha256(source)
    licence = next((file.licence for file in KNOWN_FILES if file.sha256 == sha256), None)
    described = config_metadata(info.config) if info.config else {"kind": info.kind}
    described |= {"source": source.name, "source_sha256": sha256}
    if licence and "licence" not in metadata:
        described["licence"] = licence
    return described
