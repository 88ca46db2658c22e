"""Face restorers as ONNX graphs: GPEN, GFPGAN, RestoreFormer++, CodeFormer of other tools.

What a graph is, is read from its inputs and outputs, not from its name. It runs in the package
`onnxruntime`, which holds the weights itself: its session is closed when the memory is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.building import Target
from ..checkpoints.onnx_graph import OnnxGraph, Value
from ..checkpoints.reader import WeightFile
from ..errors import CheckpointError
from ..files import file_sha256
from ..networks import Fidelity, fidelity_per_face
from ..packages import needed_for

SMALLEST, LARGEST = 64, 2048
"""Side of the crops; published are 256, 512, 1024 and 2048."""
USUAL = 512
"""Side where a graph leaves it free: what takes any size was trained at this one."""
BYTES_PER_PIXEL = 1.6e9 / 512**2
"""Activations of one face; those of GFPGAN and CodeFormer are of that order."""
FLOATS = (torch.float32, torch.float16, torch.float64)
PROVIDERS = {
    "cuda": ("CUDAExecutionProvider", "MIGraphXExecutionProvider", "DmlExecutionProvider"),
    "mps": ("CoreMLExecutionProvider",),
    "xpu": ("OpenVINOExecutionProvider", "DmlExecutionProvider"),
    "privateuseone": ("DmlExecutionProvider",),
}
"""What onnxruntime calls the kinds of device, the best first."""
PROCESSOR = "CPUExecutionProvider"
PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "xpu": "onnxruntime-openvino",
    "privateuseone": "onnxruntime-directml",
}
"""Builds of onnxruntime that know a kind of device."""
FULL = re.compile(r"allocate memory|bad.?alloc|out of memory|Failed to allocate", re.IGNORECASE)


def is_graph(file: WeightFile) -> bool:
    """Whether a file is an ONNX graph."""
    return file.graph is not None


@dataclass(frozen=True)
class Plan:
    """How a graph is given a face, and where it gives it back."""

    picture: Value
    """The input for the crop."""
    size: int
    """Side of the crop in pixels."""
    channels_last: bool
    """Whether pictures are (1, S, S, 3) instead of (1, 3, S, S)."""
    weight: Value | None
    """The input for the fidelity."""
    output: Value
    """The restored face."""


def plan_of(graph: OnnxGraph) -> Plan:
    """Find out how a graph restores a face.

    Raises:
        CheckpointError: it does not; the message says what it wants or gives instead.
    """
    pictures = [value for value in graph.inputs if _is_picture(value)]
    others = [value for value in graph.inputs if value not in pictures]
    if len(pictures) != 1:
        raise CheckpointError(f"it takes {_named(graph.inputs)}, not one picture")
    if len(others) > 1 or not all(map(_is_weight, others)):
        raise CheckpointError(f"it wants more than a picture and a weight: {_named(others)}")
    (picture,) = pictures
    size, channels_last = _size_of(picture), _is_channels_last(picture)
    outputs = [value for value in graph.outputs if _may_be(value, size, channels_last)]
    if not outputs:
        raise CheckpointError(
            f"it gives {_named(graph.outputs)}, not a picture of {size} x {size} pixels"
        )
    return Plan(picture, size, channels_last, next(iter(others), None), outputs[0])


def check_graph(file: WeightFile) -> None:
    """Raise unless a graph restores faces.

    Raises:
        CheckpointError: it does not.
    """
    if file.graph is not None:
        plan_of(file.graph)


def _is_picture(value: Value) -> bool:
    shape = value.shape or ()
    return len(shape) == 4 and 3 in (shape[1], shape[3]) and value.dtype in FLOATS


def _is_weight(value: Value) -> bool:
    lengths = value.shape
    return lengths is not None and all(each in (1, None) for each in lengths) and len(lengths) < 3


def _is_channels_last(value: Value) -> bool:
    shape = value.shape or ()
    return len(shape) == 4 and shape[3] == 3 and shape[1] != 3


def _size_of(picture: Value) -> int:
    """Side of the crops.

    Raises:
        CheckpointError: they are not square, or of a size no face is restored at.
    """
    count, *lengths = picture.shape or (1,)
    sides = {side for side in (lengths[:2] if _is_channels_last(picture) else lengths[1:]) if side}
    if count not in (1, None):
        raise CheckpointError(f"it takes {count} pictures at once, instead of one")
    if len(sides) > 1 or not all(SMALLEST <= side <= LARGEST for side in sides):
        raise CheckpointError(
            f"it takes pictures of {' x '.join(map(str, sorted(sides)))} pixels, not square ones "
            f"of {SMALLEST} to {LARGEST}"
        )
    return next(iter(sides), USUAL)


def _may_be(value: Value, size: int, channels_last: bool) -> bool:
    """Whether an output may be the restored face; what is not stated may be anything."""
    wanted = (1, size, size, 3) if channels_last else (1, 3, size, size)
    if value.shape is None:
        return value.dtype in FLOATS
    pairs = zip(value.shape, wanted, strict=False)
    return (
        value.dtype in FLOATS
        and len(value.shape) == len(wanted)
        and all(length in (None, expected) for length, expected in pairs)
    )


def _named(values: tuple[Value, ...] | list[Value]) -> str:
    """Names and shapes for a person."""
    texts: list[str] = []
    for value in values[:4]:
        lengths = "?" if value.shape is None else " x ".join(str(n or "?") for n in value.shape)
        texts.append(f"{value.name[:40]!r} ({lengths or 'one number'})")
    return ", ".join(texts) or "nothing"


class OnnxRestorer(nn.Module):
    """A graph called as CodeFormer is: (N, 3, S, S) in -1..1 to the same.

    Args:
        path: the graph.
        plan: how it is used.
        weight_bytes: length of its weights.
    """

    variant = "restoration"
    """What it was trained for."""

    def __init__(self, path: Path, plan: Plan, weight_bytes: int) -> None:
        super().__init__()
        # Says where the graph computes, and moves as any network's weights do.
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.path, self.plan, self.weight_bytes = path, plan, weight_bytes
        self.size = plan.size
        self.bytes_per_face = BYTES_PER_PIXEL * plan.size**2
        self._session: tuple[torch.device, Any] | None = None

    @cached_property
    def settings(self) -> str:
        """What it computes, as a hash: its weights are in the file alone."""
        return file_sha256(self.path)

    @property
    def takes_fidelity(self) -> bool:
        """Whether fidelity has an effect on it."""
        return self.plan.weight is not None

    @property
    def notice(self) -> str | None:
        """What its user should know; None if there is nothing."""
        notes: list[str] = []
        if self.plan.weight is None:
            notes.append(
                f"{self.path.stem} is an ONNX graph without a weight: fidelity has no effect on it"
            )
        missing = self._missing_package()
        if missing:
            notes.append(f"{self.path.stem} runs on the processor: for the GPU, {missing}")
        return "; ".join(notes) or None

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None) -> Tensor:
        """Restore crops one by one, for most graphs take no batches.

        Args:
            crops: (N, 3, S, S) in -1..1 with S = `size`.
            fidelity: 0 to 1, one or one a face; without effect on a graph without a weight.
            adain: ignored.

        Returns:
            (N, 3, S, S) in the type of `crops`.

        Raises:
            CheckpointError: onnxruntime cannot run the graph, or it gives something else.
        """
        weights = fidelity_per_face(fidelity, len(crops)).tolist()
        restored = torch.empty_like(crops)
        try:
            session = self.open()
            for index, weight in enumerate(weights):
                restored[index] = self._restored(session, crops[index : index + 1], weight)[0]
        except CheckpointError as error:
            raise CheckpointError(f"{self.path.name}: {error}") from error
        return restored

    def open(self) -> Any:
        """The session on the device of `place`, opened if there is none.

        Raises:
            MissingModelError: onnxruntime is not installed.
            CheckpointError: it cannot run the graph, or the file is gone; without its name.
        """
        device = self.place.device
        if self._session is None:
            self._session = device, open_session(self.path, device)
        return self._session[1]

    def release(self) -> None:
        """Close the session, which gives back all of its memory; the next call opens another."""
        self._session = None

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> OnnxRestorer:
        before = self.place.device
        super()._apply(fn, recurse)
        if self.place.device != before:
            self.release()
        return self

    def _restored(self, session: Any, crop: Tensor, fidelity: float) -> Tensor:
        plan = self.plan
        picture = crop.movedim(1, 3) if plan.channels_last else crop
        feed = {plan.picture.name: _array(picture, plan.picture)}
        if plan.weight is not None:
            shape = [1] * len(plan.weight.shape or ())
            feed[plan.weight.name] = _array(torch.full(shape, fidelity), plan.weight)
        (result,) = _run(lambda: session.run([plan.output.name], feed))
        face = torch.from_numpy(result)
        if face.shape != picture.shape:
            raise CheckpointError(
                f"gives {tuple(face.shape)} for a picture of {tuple(picture.shape)}, so it is no "
                "face restorer; an enlarger belongs in Load Upscale Model"
            )
        return face.movedim(3, 1) if plan.channels_last else face

    def _missing_package(self) -> str | None:
        """What would bring the graph to its device, if it runs beside it."""
        if self._session is None or self._session[0].type == "cpu":
            return None
        device, session = self._session
        if session.get_providers() != [PROCESSOR]:
            return None
        package = PACKAGES.get(device.type, "onnxruntime")
        return f"pip uninstall onnxruntime, then pip install {package}"


def open_session(path: Path, device: torch.device) -> Any:
    """What runs a graph on a device, or on the processor where this onnxruntime cannot.

    Raises:
        MissingModelError: onnxruntime is not installed.
        CheckpointError: it cannot run the graph, or the file is gone; without its name.
    """
    with needed_for(path.name, "onnxruntime"):
        import onnxruntime
    if not path.is_file():
        raise CheckpointError(f"is gone from {path.parent}, so it cannot be loaded again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors: warnings are for who made the graph
    providers = providers_for(device, onnxruntime.get_available_providers())
    return _run(lambda: onnxruntime.InferenceSession(str(path), options, providers=providers))


def providers_for(device: torch.device, available: list[str]) -> list[Any]:
    """Names and settings of what onnxruntime is to run on, the best first.

    Args:
        device: where PyTorch computes.
        available: what this build of onnxruntime knows.
    """
    names = [name for name in PROVIDERS.get(device.type, ()) if name in available][:1]
    chosen: list[Any] = []
    for name in names:
        takes_number = name in ("CUDAExecutionProvider", "DmlExecutionProvider")
        chosen.append((name, {"device_id": device.index or 0} if takes_number else {}))
    return [*chosen, PROCESSOR]


def _array(values: Tensor, wanted: Value) -> Any:
    """What onnxruntime takes."""
    return values.to("cpu", wanted.dtype or torch.float32).contiguous().numpy()


def _run(step: Callable[[], Any]) -> Any:
    """Turn what onnxruntime raises into errors that a user and the runtime understand.

    Raises:
        CheckpointError: the graph cannot be run; OutOfMemoryError of PyTorch: memory is full.
    """
    try:
        return step()
    except Exception as error:  # it has a class of its own for every code, below no common one
        reason = " ".join(str(error).split())
        if FULL.search(reason):
            raise torch.OutOfMemoryError(f"out of memory: {reason[:300]}") from error
        raise CheckpointError(
            f"onnxruntime cannot run it ({reason[:300]}); export it again, or install the newest "
            "onnxruntime"
        ) from error


def build_onnx(file: WeightFile, target: Target) -> OnnxRestorer:
    """The restorer of a graph, opened at once, so that faults show where it is loaded.

    Raises:
        MissingModelError: onnxruntime is not installed.
        CheckpointError: it restores no faces, or onnxruntime cannot run it.
    """
    if file.graph is None:
        raise CheckpointError("it is no ONNX graph")
    plan = plan_of(file.graph)
    restorer = OnnxRestorer(file.path, plan, file.graph.weight_bytes).to(target.device).eval()
    restorer.open()
    return restorer
