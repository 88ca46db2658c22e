"""Read a weight file into a flat dict of tensors: safetensors, or PyTorch's own two formats.

Of an ONNX graph, which is more than weights, the shapes are read.

What a file is, is read from its first bytes and not from its name. Nothing in a file is ever run,
and no more memory is taken than the file has bytes. Where the format allows it, tensors are views
of the mapped file, so that opening a model costs nothing until its numbers are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import CheckpointError, MissingModelError
from .onnx_graph import OnnxGraph, read_graph
from .pickled import RefusedError
from .preflight import LEGACY_MAGIC, check_archive, check_legacy, refuse

State = dict[str, Tensor]
"""Tensors by their key in the file."""
Metadata = dict[str, str]
"""What a file says about itself in words."""

MAX_HEADER_BYTES = 8 << 20
"""Longest safetensors header taken for a model's; CodeFormer's has about 60 kB."""
WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which training code stores the network, best first."""
ONNX_SECOND = frozenset((0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72))
"""Keys of the fields that may come second in an ONNX file."""
REST, REST_PARTS = "rest", "rest_parts"
"""Metadata keys under which a file names another beside it, which holds what it leaves out, and how
the names of such tensors begin, apart by spaces; all of them if it does not say."""
NOT_WEIGHTS = {
    b"<!do": "it is a web page, not weights: the download went to a page about the file",
    b"<htm": "it is a web page, not weights: the download went to a page about the file",
    b"vers": "it is a Git LFS pointer; the file itself was not fetched (git lfs pull)",
    b"gguf": "it is a GGUF file, which holds no network of this library",
}


@dataclass(frozen=True)
class WeightFile:
    """A weight file that has been read."""

    state: State
    """Its tensors, flat, by published key."""
    metadata: Metadata = field(default_factory=Metadata)
    """What it says about itself."""
    path: Path = Path("weights")
    """Where it lies."""
    container: str = "memory"
    """Its format: safetensors, archive, legacy or onnx."""
    graph: OnnxGraph | None = None
    """What goes in and out, if it is an ONNX graph; its `state` then has shapes only."""


def read_weights(path: str | Path) -> WeightFile:
    """Read the tensors of a weight file.

    Args:
        path: .safetensors, or .pth, .pt, .ckpt of PyTorch, or .onnx.

    Returns:
        The flat state dict, unwrapped (`params_ema`, `params`, `state_dict`) and without the
        `module.` prefix of parallel training, on the CPU; and the file's metadata. The tensors may
        be views of the mapped file: do not truncate it while they live (replacing it is fine).

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: the file is damaged, holds more than tensors, or is no weight file.
    """
    file = _read(Path(path))
    return _completed(file) if REST in file.metadata else file


def _read(path: Path) -> WeightFile:
    container = container_of(path)
    try:
        if container == "onnx":
            graph = read_graph(path)
            return WeightFile(graph.weights, _about(graph), path, container, graph)
        state, metadata = _READERS[container](path)
    except RefusedError as error:
        raise refuse(path, str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    return WeightFile(_without_prefix(state, "module."), metadata, path, container)


def _completed(file: WeightFile) -> WeightFile:
    """A file with what it shares with another one of its folder.

    Raises:
        CheckpointError: it names no file of its folder, or one that is not whole itself.
        MissingModelError: that file is not there.
    """
    name = file.metadata[REST]
    if name != Path(name).name or name == file.path.name:
        raise refuse(file.path, f"it names {name[:60]!r} as the rest of it")
    rest = _read(file.path.with_name(name))
    if REST in rest.metadata:
        raise refuse(file.path, f"the rest of it, {name}, is not whole either")
    parts = tuple(file.metadata.get(REST_PARTS, "").split()) or ""
    shared = {key: each for key, each in rest.state.items() if key.startswith(parts)}
    described = {k: each for k, each in file.metadata.items() if k not in (REST, REST_PARTS)}
    return replace(file, state=shared | file.state, metadata=rest.metadata | described)


def read_state(path: str | Path) -> tuple[State, Metadata]:
    """Tensors and metadata of a weight file; see `read_weights`."""
    file = read_weights(path)
    return file.state, file.metadata


def container_of(path: Path) -> str:
    """Format of a file by its first bytes: "safetensors", "archive", "legacy" or "onnx".

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: not a regular file, or of no format weights come in.
    """
    if not path.exists():
        raise MissingModelError(f"{path}: there is no such file")
    if not path.is_file():
        raise CheckpointError(f"{path}: is not a file")
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    if start.startswith(b"PK\x03\x04"):
        return "archive"
    if start.startswith(LEGACY_MAGIC):
        return "legacy"
    if start[8:9] == b"{":
        return "safetensors"
    if _begins_onnx(start):
        return "onnx"
    reason = "it is empty" if not start else "it is not a file of weights"
    raise refuse(path, NOT_WEIGHTS.get(start[:4].lower(), reason))


def _begins_onnx(start: bytes) -> bool:
    """Whether bytes begin as ONNX does: the version of the format, then a producer or a graph."""
    return len(start) > 2 and start[0] == 0x08 and 0 < start[1] < 64 and start[2] in ONNX_SECOND


def _about(graph: OnnxGraph) -> Metadata:
    return {"opset": str(graph.opset), "producer": graph.producer or "not stated"}


def _read_safetensors(path: Path) -> tuple[State, Metadata]:
    with path.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(8), "little")
    if header_bytes > min(MAX_HEADER_BYTES, path.stat().st_size - 8):
        raise RefusedError("its header is cut off or larger than any model's")
    try:
        with safe_open(path, framework="pt") as opened:
            state = {key: opened.get_tensor(key) for key in opened.keys()}
            metadata = dict(opened.metadata() or {})
    except (SafetensorError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise RefusedError(f"it is a damaged safetensors file ({error!s:.200})") from error
    return _tensors(state), metadata


def _read_archive(path: Path) -> tuple[State, Metadata]:
    check_archive(path)
    return _unwrap(_load(path, mmap=True))


def _read_legacy(path: Path) -> tuple[State, Metadata]:
    check_legacy(path)
    return _unwrap(_load(path, mmap=False))


_READERS = {
    "safetensors": _read_safetensors,
    "archive": _read_archive,
    "legacy": _read_legacy,
}


def _load(path: Path, *, mmap: bool) -> Any:
    load = partial(torch.load, map_location="cpu", weights_only=True)  # noqa: TID251 (the one place)
    try:
        if path.suffix == ".safetensors":  # PyTorch 2.14 goes by the name, but this is none inside
            with path.open("rb") as stream:
                return load(stream)
        return load(str(path), mmap=mmap)
    except Exception as error:  # PyTorch raises nearly every type there is for a damaged file
        raise RefusedError(f"PyTorch cannot read it ({type(error).__name__})") from error


def _unwrap(content: Any) -> tuple[State, Metadata]:
    """The network's own dict inside what training code saved around it."""
    if not isinstance(content, dict):
        raise RefusedError("it holds no state dict")
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _tensors(content[key]), _words(content)
    return _tensors(content), {}


def _tensors(content: Mapping[Any, Any]) -> State:
    state: State = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise RefusedError(
                f"its entry {str(key)[:60]!r} is no tensor: it is a training state or a list of "
                "networks rather than one network"
            )
        state[key] = value.detach()
    if not state:
        raise RefusedError("it holds no tensors")
    return state


def _words(content: Mapping[Any, Any]) -> Metadata:
    """The plain values beside the network, and in a `metadata` dict."""
    beside = {**content, **(m if isinstance(m := content.get("metadata"), dict) else {})}
    return {
        key: str(value)
        for key, value in beside.items()
        if isinstance(key, str) and isinstance(value, str | int | float)
    }


def _without_prefix(state: State, prefix: str) -> State:
    if all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return state
