"""Look into the pickle of a state dict before PyTorch does.

`torch.load(weights_only=True)` runs no code, but it allocates whatever sizes a file claims, and
hashes whatever nest of tuples a file uses as key. Python's own reader of pickles, reduced to the
operations and names that `torch.save` writes, makes checked descriptions instead of tensors.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, ClassVar, NamedTuple

import torch

MAX_PICKLE_BYTES = 2 << 20
"""Longest pickle taken for a state dict; CodeFormer's has about 60 kB."""
OPERATIONS = (
    "PROTO MARK STOP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE "
    "BINSTRING SHORT_BINSTRING EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "BINPUT LONG_BINPUT BINGET LONG_BINGET APPEND APPENDS GLOBAL BINPERSID REDUCE"
).split()
"""Those left to Python's reader."""
STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class RefusedError(ValueError):
    """The file is not what a weight file should be; the text says why, without the file's name."""


class Storage(NamedTuple):
    """A run of numbers in the file, as the pickle claims it."""

    dtype: torch.dtype
    elements: int

    @property
    def nbytes(self) -> int:
        """Its length in the file."""
        return self.elements * self.dtype.itemsize


@dataclass
class Contents:
    """What a pickle describes."""

    value: Any = None
    """Its object, in which tensors are None."""
    storages: dict[str, Storage] = field(default_factory=dict[str, Storage])
    """Every storage by its key."""
    tensor_bytes: int = 0
    """Sum of the sizes of all tensors."""


def read_pickle(stream: IO[bytes]) -> Contents:
    """Describe one pickle and leave the stream behind it.

    Raises:
        RefusedError: a name, operation or size no state dict needs, or a damaged pickle.
    """
    reader = _Reader(stream)
    try:
        reader.contents.value = reader.load()
    except RefusedError:
        raise
    except Exception as error:  # damage ends in nearly every type there is
        raise RefusedError(f"its table of contents is damaged ({type(error).__name__})") from error
    return reader.contents


def _handler(name: str) -> tuple[int, Any]:
    code = getattr(pickle, name)[0]
    return code, pickle._Unpickler.dispatch[code]  # pyright: ignore


# The pure Python one: its operations are a table, and its memo does not grow to the largest index.
class _Reader(pickle._Unpickler):  # pyright: ignore
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.contents = Contents()

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_TYPES:
            return STORAGE_TYPES[name]
        rebuild = _REBUILDERS.get(f"{module}.{name}"[:80])
        if rebuild is None:
            raise RefusedError(
                f"it refers to the code '{module[:40]}.{name[:40]}', which weights do not need and "
                "which is not run"
            )
        return partial(rebuild, self.contents)

    def persistent_load(self, pid: Any) -> Storage:
        match pid:
            case ("storage", torch.dtype() as dtype, str(key), str(), int(elements), *rest):
                storage = Storage(dtype, elements)
            case _:
                raise RefusedError("a storage in it is described in a way PyTorch does not write")
        known = self.contents.storages.setdefault(key, storage)
        if elements < 0 or known != storage or any(rest):
            raise RefusedError("a storage in it is described twice or has a negative size")
        return storage

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def set_items(self) -> None:
        items = self.pop_mark()
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        # Nested tuples that share their parts take for ever to hash.
        if not isinstance(key, str | int):
            raise RefusedError("a key in it is neither text nor a number")
        self.stack[-1][key] = value

    def ignore_state(self) -> None:
        self.stack.pop()  # the `_metadata` of a state dict, which nobody needs

    dispatch: ClassVar[dict[int, Any]] = {
        **dict(map(_handler, OPERATIONS)),
        pickle.SETITEM[0]: set_item,
        pickle.SETITEMS[0]: set_items,
        pickle.BUILD[0]: ignore_state,
    }


def _rebuild_dict(_: Contents) -> dict[Any, Any]:
    return {}


def _rebuild_tensor(
    contents: Contents,
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: Any,
) -> None:
    """Check that a tensor lies within its storage and uses no number of it twice."""
    if not all(
        type(number) is int and 0 <= number < 1 << 40 for number in (offset, *shape, *strides)
    ):
        raise RefusedError("a tensor in it has an impossible shape")
    elements, reach = 1, offset + 1
    for side, stride in zip(shape, strides, strict=True):
        elements *= side
        reach += (side - 1) * stride
    if elements and max(elements, reach) > storage.elements:
        raise RefusedError("a tensor in it is larger than its data")
    contents.tensor_bytes += elements * storage.dtype.itemsize


def _rebuild_nothing(_: Contents, *__: Any) -> None:
    """A parameter around a tensor that was described before, or a shape."""


_REBUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _rebuild_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_nothing,
    "torch.Size": _rebuild_nothing,
}
