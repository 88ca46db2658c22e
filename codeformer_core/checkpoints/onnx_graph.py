"""What an ONNX file says of itself, read without a package and without running anything of it.

Field numbers are those of the format's published description (onnx.proto, version 3).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .pickled import RefusedError
from .protobuf import Message

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}
"""Types of elements, as the format numbers them."""
INT64 = 7
SAFE_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Whose operators come with the runtime; those of others would be code from elsewhere."""
REFUSED = {
    "Loop": "it repeats a part of itself as often as it likes",
    "Scan": "it repeats a part of itself as often as it likes",
    "EPContext": "it holds a compiled program",
}
"""Operators of no restorer, and why they are refused."""
SHAPE_INPUTS = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3}
"""Which input of an operator says how large its result is."""
MOST_NUMBERS = 1 << 31
"""Of one result; the largest of a restorer for 2048 px has an eighth of it."""
LONGEST_SHAPE = 8
DEEPEST = 4
"""Graphs inside of graphs."""
EXTERNAL = 1
"""Where a tensor says that its numbers lie in another file."""


@dataclass(frozen=True)
class Value:
    """An input or output of a graph."""

    name: str
    dtype: torch.dtype | None
    """None for one that is no tensor, or of a type that PyTorch has not."""
    shape: tuple[int | None, ...] | None
    """None for a length that is free, and for a shape that is not stated."""


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX file."""

    inputs: tuple[Value, ...]
    """What it wants to be given."""
    outputs: tuple[Value, ...]
    """What it gives."""
    weights: dict[str, Tensor]
    """Shapes and types of the numbers it holds, as tensors without content."""
    weight_bytes: int
    """Length of those numbers."""
    opset: int
    """Version of the operators it is made of."""
    producer: str
    """What wrote it."""


def read_graph(path: Path) -> OnnxGraph:
    """Read what goes in and out of an ONNX file, and check that it is whole and harmless.

    Raises:
        RefusedError: it is cut off, names numbers it does not hold, reaches outside of its folder,
            or is made of what no restorer needs.
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    # Not closed: `memoryview`s of an error's traceback may still point to it.
    model = Message(memoryview(mapped))
    graphs = model.messages(7)
    if len(graphs) != 1:
        raise RefusedError("it is no ONNX graph, or cut off")
    return _described(model, graphs[0], path)


def _described(model: Message, graph: Message, path: Path) -> OnnxGraph:
    _check_nodes(graph)
    _check_functions(model)
    tensors = graph.messages(5)
    weights = {tensor.text(8): _empty(tensor, path) for tensor in tensors}
    versions = {each.text(1): each.number(2) for each in model.messages(8)}
    if not versions:
        raise RefusedError("it is cut off: the version of its operators is missing")
    return OnnxGraph(
        inputs=tuple(value for value in _values(graph, 11) if value.name not in weights),
        outputs=tuple(_values(graph, 12)),
        weights=weights,
        weight_bytes=sum(each.numel() * each.element_size() for each in weights.values()),
        opset=versions.get("", versions.get("ai.onnx", 0)),
        producer=" ".join(filter(None, (model.text(2), model.text(3)))),
    )


# --------------------------------------------------------------------------- inputs and outputs


def _values(graph: Message, number: int) -> Iterator[Value]:
    for value in graph.messages(number):
        tensor = next((t for kind in value.messages(2) for t in kind.messages(1)), None)
        if tensor is None:
            yield Value(value.text(1), None, None)
            continue
        shapes = tensor.messages(2)
        shape = tuple(_length(each) for each in shapes[0].messages(1)) if shapes else None
        yield Value(value.text(1), DTYPES.get(tensor.number(1)), shape)


def _length(dimension: Message) -> int | None:
    length = dimension.number(1)
    return length if length > 0 else None


# ----------------------------------------------------------------------------------- the weights


def _empty(tensor: Message, path: Path) -> Tensor:
    """Shape and type of a stored tensor whose numbers are really there.

    Raises:
        RefusedError: they are not.
    """
    shape, dtype = tensor.numbers(1), DTYPES.get(tensor.number(2))
    name = tensor.text(8)[:60]
    if dtype is None or any(length < 0 for length in shape) or len(shape) > LONGEST_SHAPE:
        raise RefusedError(f"its tensor {name!r} is of no known type or shape")
    needed = math.prod(shape) * dtype.itemsize
    if tensor.number(14) == EXTERNAL:
        held = _held_outside(tensor, path, needed)
    else:
        held = _held_inside(tensor, dtype)
    if held < needed:
        raise RefusedError(f"the numbers of its tensor {name!r} are missing or cut off")
    return torch.empty(shape, dtype=dtype, device="meta")


def _held_inside(tensor: Message, dtype: torch.dtype) -> int:
    """Bytes that a tensor's numbers make, which come raw or as lists of one type."""
    raw = sum(len(blob) for blob in tensor.blobs(9))
    if raw:
        return raw
    floats = sum(len(blob) for number in (4, 10) for blob in tensor.blobs(number))
    if floats:
        return floats
    return sum(tensor.count(number) for number in (5, 7)) * dtype.itemsize


def _held_outside(tensor: Message, path: Path, needed: int) -> int:
    """Bytes of a tensor's numbers in another file of the same folder.

    Raises:
        RefusedError: there is no such file, or it lies elsewhere.
    """
    where = {entry.text(1): entry.text(2) for entry in tensor.messages(13)}
    name = where.get("location", "")
    folder = path.resolve().parent
    other = (folder / name).resolve()
    if not name or not other.is_relative_to(folder):
        raise RefusedError("it wants to read numbers from outside of its folder")
    if not other.is_file():
        raise RefusedError(f"its numbers lie in {name!r}, which is not beside it: get both files")
    start, length = (_digits(where.get(key, "")) for key in ("offset", "length"))
    left = other.stat().st_size - start
    return min(left, length or needed)


def _digits(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


# ------------------------------------------------------------------------------------- the nodes


def _check_nodes(graph: Message, depth: int = 0) -> None:
    """Raise unless a graph is made of what restorers are made of.

    Raises:
        RefusedError: it is not, or asks for results of a size that no machine holds.
    """
    if depth > DEEPEST:
        raise RefusedError("it holds graphs inside of graphs inside of graphs")
    nodes = graph.messages(1)
    constants = dict(_constants(graph, nodes))
    for node in nodes:
        _check_operator(node)
        _check_sizes(node, constants)
        for attribute in node.messages(5):
            for inner in (*attribute.messages(6), *attribute.messages(11)):
                _check_nodes(inner, depth + 1)


def _check_functions(model: Message) -> None:
    """The same of functions that a model defines for itself."""
    own = {function.text(10) for function in model.messages(25)}
    for function in model.messages(25):
        for node in function.messages(7):
            if node.text(7) not in own:
                _check_operator(node)


def _check_operator(node: Message) -> None:
    operator, domain = node.text(4), node.text(7)
    if domain not in SAFE_DOMAINS:
        raise RefusedError(f"it needs operators of {domain[:60]!r}, which are code from elsewhere")
    if operator in REFUSED:
        raise RefusedError(f"{REFUSED[operator]} ({operator}), as no restorer does")


def _check_sizes(node: Message, constants: dict[str, list[int]]) -> None:
    operator, inputs = node.text(4), node.texts(1)
    place = SHAPE_INPUTS.get(operator)
    lengths = [] if place is None or place >= len(inputs) else constants.get(inputs[place], [])
    stated = (each.numbers(8) for each in node.messages(5) if each.text(1) == "shape")
    for shape in (lengths, *stated):
        if math.prod(max(1, abs(length)) for length in shape) > MOST_NUMBERS:
            raise RefusedError(f"it asks for {shape} numbers at once ({operator})")


def _constants(graph: Message, nodes: Iterable[Message]) -> Iterator[tuple[str, list[int]]]:
    """The short lists of whole numbers in a graph, which may be shapes."""
    for tensor in graph.messages(5):
        yield tensor.text(8), _few_numbers(tensor)
    for node in nodes:
        if node.text(4) == "Constant":
            values = (each.messages(5) for each in node.messages(5) if each.text(1) == "value")
            for tensor in (tensor for value in values for tensor in value):
                yield node.text(2), _few_numbers(tensor)


def _few_numbers(tensor: Message) -> list[int]:
    if sum(tensor.numbers(1)) > LONGEST_SHAPE or tensor.number(2) != INT64:
        return []
    raw = b"".join(blob[: 8 * LONGEST_SHAPE] for blob in tensor.blobs(9)[:1])
    if not raw:
        return tensor.numbers(7)
    return [int.from_bytes(raw[at : at + 8], "little", signed=True) for at in range(0, len(raw), 8)]
