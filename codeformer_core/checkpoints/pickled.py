"""Interpret the pickle of a state dict without building anything but descriptions.

The interpreter knows the operations and the few names that `torch.save` writes for a state dict,
and refuses every other one. Instead of tensors it makes checked descriptions of them.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, cast

import torch

MAX_PICKLE_BYTES = 4 << 20
"""Longest pickle taken for a state dict; CodeFormer's has about 60 kB."""
MAX_OPERATIONS = 300_000
"""Most operations of it, a few seconds' worth; CodeFormer's has about 13,000."""
STORAGE_TYPES = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}


class RefusedError(ValueError):
    """The file is not what a weight file should be; the text says why, without the file's name."""


@dataclass(frozen=True)
class StorageRecord:
    """A run of numbers in the file."""

    key: str
    """Its name in the archive."""
    dtype: torch.dtype
    """Type of the numbers."""
    elements: int
    """How many the file claims."""

    @property
    def nbytes(self) -> int:
        """Bytes the file claims."""
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True)
class _Global:
    """A name the pickle refers to: "module attribute"."""

    name: str


@dataclass
class Contents:
    """What a pickle holds besides plain values."""

    storages: dict[str, StorageRecord] = field(default_factory=dict[str, StorageRecord])
    """Every storage by its key."""
    tensor_bytes: int = 0
    """Sum of the sizes of all tensors."""


def read_pickle(stream: IO[bytes]) -> tuple[Any, Contents]:
    """Interpret one pickle and leave the stream behind it.

    Args:
        stream: a binary file, open at the start of a pickle.

    Returns:
        The object, in which tensors are None, and what was met on the way.

    Raises:
        RefusedError: a name, operation or size no state dict needs, or a damaged pickle.
    """
    machine = _Machine()
    bounded = cast(IO[bytes], _Bounded(stream))
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):
            if count > MAX_OPERATIONS:
                raise RefusedError("its table of contents is larger than any model's")
            if opcode.name == "STOP":
                return machine.pop(), machine.contents
            machine.step(opcode.name, argument)
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise RefusedError(f"its table of contents is damaged ({type(error).__name__})") from error
    raise RefusedError("its table of contents is cut off")


class _Bounded:
    """A stream that never reads further than a state dict's pickle can be long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_PICKLE_BYTES

    def read(self, size: int) -> bytes:
        return self._take(self._stream.read(max(0, min(size, self._left + 1))))

    def readline(self) -> bytes:
        return self._take(self._stream.readline(self._left + 1))

    def _take(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise RefusedError("its table of contents is larger than any model's")
        return data


class _Machine:
    """The stack machine of the pickle format, reduced to what `torch.save` writes."""

    def __init__(self) -> None:
        self.contents = Contents()
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Run one operation."""
        if name in _LITERALS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        else:
            raise RefusedError(f"it uses the pickle operation {name}, which weights do not need")

    def pop(self) -> Any:
        """Take the topmost value."""
        return self._stack.pop()

    def mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def store(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def recall(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def tuple_from_mark(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def tuple_of(self, count: int) -> None:
        values = tuple(self._stack[-count:])
        if len(values) != count:
            raise IndexError
        del self._stack[-count:]
        self._stack.append(values)

    def append(self, _: Any) -> None:
        value = self.pop()
        self._target(list).append(value)

    def extend(self, _: Any) -> None:
        values = self._pop_to_mark()
        self._target(list).extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._set(key, value)

    def set_items(self, _: Any) -> None:
        values = self._pop_to_mark()
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        # Nested tuples that share their parts take for ever to hash.
        if not isinstance(key, str | int):
            raise RefusedError("a key in it is neither text nor a number")
        self._target(dict)[key] = value

    def _target(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise TypeError
        return self._stack[-1]

    def find_global(self, name: str) -> None:
        if name not in STORAGE_TYPES and name not in _REBUILDERS:
            raise RefusedError(
                f"it refers to the code {name.replace(' ', '.')[:80]!r}, which weights do not need "
                "and which is not run"
            )
        self._stack.append(_Global(name))

    def find_storage(self, _: Any) -> None:
        match self.pop():
            case ("storage", _Global(name), str(key), str(), int(elements), *rest) if not any(rest):
                record = StorageRecord(key, STORAGE_TYPES[name], elements)
            case _:
                raise RefusedError("a storage in it is described in a way PyTorch does not write")
        if elements < 0 or self.contents.storages.setdefault(key, record) != record:
            raise RefusedError("a storage in it is described twice or has a negative size")
        self._stack.append(record)

    def call(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise TypeError
        self._stack.append(_REBUILDERS[function.name](self.contents, *arguments))

    def set_state(self, _: Any) -> None:
        self.pop()  # the `_metadata` of a state dict, which nobody needs
        self._target(dict)


def _rebuild_dict(_: Contents, *arguments: Any) -> dict[Any, Any]:
    if arguments:
        raise RefusedError("a dictionary in it is written in an outdated way")
    return {}


def _rebuild_tensor(
    contents: Contents,
    storage: StorageRecord,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: Any,
) -> None:
    """Check that a tensor lies within its storage and uses no number of it twice."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, StorageRecord) or len(shape) != len(strides):
        raise TypeError
    if not all(isinstance(number, int) and 0 <= number < 1 << 40 for number in numbers):
        raise RefusedError("a tensor in it has an impossible shape")
    elements, reach = 1, offset + 1
    for side, stride in zip(shape, strides, strict=True):
        elements *= side
        reach += (side - 1) * stride
    if elements and max(elements, reach) > storage.elements:
        raise RefusedError("a tensor in it is larger than its data")
    contents.tensor_bytes += elements * storage.dtype.itemsize


def _rebuild_parameter(_: Contents, tensor: None, *__: Any) -> None:
    if tensor is not None:
        raise TypeError


def _rebuild_size(_: Contents, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape


_REBUILDERS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _rebuild_dict,
    "torch._utils _rebuild_tensor": _rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils _rebuild_parameter": _rebuild_parameter,
    "torch Size": _rebuild_size,
}
_LITERALS = frozenset(
    (
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINSTRING",
        "BINSTRING",
    )
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "MARK": _Machine.mark,
    "BINPUT": _Machine.store,
    "LONG_BINPUT": _Machine.store,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "TUPLE": _Machine.tuple_from_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.find_global,
    "BINPERSID": _Machine.find_storage,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.set_state,
}
