"""Build networks from weight files: built empty, then given the file's own tensors."""

import math
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..checkpoints.names import to_network
from ..checkpoints.reader import Metadata, State, read_state
from ..downloads.catalogue import KNOWN_FILES, known
from ..errors import CheckpointError, MissingModelError, SettingError
from ..networks import VQGAN, CodeFormer, prepare_for_inference
from ..networks.layers import Operations
from .empty import build_empty
from .identify import CheckpointInfo, check_complete, identify

BUILTIN = "builtin"
"""The name of the model that comes with the package."""
BUILTIN_PATH = Path(__file__).parent.parent / "weights" / "builtin.safetensors"
"""Where it lies."""
NETWORK_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
"""Types the networks can run in."""

Network = TypeVar("Network", CodeFormer, VQGAN)


def load_codeformer(
    path_or_name: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> CodeFormer:
    """Load a CodeFormer, ready to restore faces.

    Args:
        path_or_name: a weight file, or "builtin" for the model that comes with the package.
        device: where the weights go.
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
    network = load_network(find_model(path_or_name), device=device, dtype=dtype)
    return prepare_for_inference(network)


def find_model(path_or_name: str | Path) -> Path:
    """Path of a weight file given as a path or as "builtin".

    Raises:
        MissingModelError: there is no such file; the message names the choices.
    """
    path = BUILTIN_PATH if str(path_or_name) == BUILTIN else Path(path_or_name)
    if path.exists():
        return path
    if path == BUILTIN_PATH:
        raise MissingModelError(f"{path}: the built-in model is missing; install the package again")
    file = known(path.name)
    choices = ", ".join([BUILTIN, *(f.name for f in KNOWN_FILES if f.kind == "codeformer")])
    remedy = f"run: codeformer download {file.name}" if file else f"choose one of {choices}"
    raise MissingModelError(f"{path}: there is no such file; {remedy}")


def load_network(
    path: str | Path,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> CodeFormer:
    """Load a CodeFormer of any size and variant from a file.

    The network is built without numbers and takes over the file's tensors, so the weights are never
    held twice. On the CPU in the file's own type they stay mapped to the file.

    Args:
        path: .safetensors or .pth in the published layout or ours.
        operations: where layer classes come from; `torch.nn`, or a host's casting layers.
        device: where the weights go.
        dtype: float32, float16 or bfloat16; None keeps the file's own.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: the file is damaged, incomplete, or of another kind.
        SettingError: the device or the type cannot be used.
    """
    return _load(Path(path), CodeFormer, operations, device, dtype)


def load_vqgan(
    path: str | Path,
    *,
    operations: Operations = nn,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> VQGAN:
    """Load a stage I autoencoder from a file; arguments and errors as of `load_network`."""
    return _load(Path(path), VQGAN, operations, device, dtype)


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
        metadata: `variant`, `heads` and `image_size` say what shapes cannot.
        operations: where layer classes come from.
        device: where the weights go.
        dtype: float32, float16 or bfloat16; None keeps the state's own.

    Returns:
        The network in evaluation mode, without gradients; it shares the tensors that need neither
        a cast nor a move.

    Raises:
        CheckpointError: incomplete, of another kind, or not all finite.
        SettingError: the device or the type cannot be used.
    """
    _check_target(device, dtype)
    return _build(identify(state, metadata), dict(state), operations, device, dtype)


def _load(
    path: Path,
    kind: type[Network],
    operations: Operations,
    device: torch.device | str,
    dtype: torch.dtype | None,
) -> Network:
    _check_target(device, dtype)
    state, metadata = read_state(path)
    try:
        info = identify(state, metadata)
        _check_kind(info, kind)
        network = _build(info, state, operations, device, dtype)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error
    assert isinstance(network, kind)
    return network


def _build(
    info: CheckpointInfo,
    state: State,
    operations: Operations,
    device: torch.device | str,
    dtype: torch.dtype | None,
) -> CodeFormer | VQGAN:
    """The network of a state dict, which is emptied so that cast tensors are not held twice."""
    if info.config is None:
        raise CheckpointError(f"is {info.title}: {info.advice}")
    network = build_empty(info.config, operations)
    renamed = to_network(state)
    state.clear()
    try:
        check_complete(network, renamed)
    except CheckpointError as error:
        raise CheckpointError(f"looks like {info.title}, but {error}") from error
    _place(renamed, torch.device(device), dtype or _own_dtype(renamed))
    network.load_state_dict(renamed, assign=True)
    return network.eval().requires_grad_(False)


def _check_kind(info: CheckpointInfo, kind: type[nn.Module]) -> None:
    wanted = {CodeFormer: "codeformer", VQGAN: "vqgan"}[kind]
    if info.kind != wanted:
        raise CheckpointError(f"is {info.title}, not a {kind.__name__}: {info.advice}")


def _check_target(device: torch.device | str, dtype: torch.dtype | None) -> None:
    if dtype is not None and dtype not in NETWORK_DTYPES:
        names = ", ".join(str(choice).removeprefix("torch.") for choice in NETWORK_DTYPES)
        raise SettingError(f"networks run in {names}, not in {dtype}")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {str(device)!r} cannot be used here ({error})") from error


def _own_dtype(state: State) -> torch.dtype:
    """The type all tensors share if a network can run in it, else float32."""
    dtypes = {tensor.dtype for tensor in state.values()}
    return dtypes.pop() if len(dtypes) == 1 and dtypes <= set(NETWORK_DTYPES) else torch.float32


def _place(state: State, device: torch.device, dtype: torch.dtype) -> None:
    """Cast and move tensor by tensor, in place in the dict, so that each is held once."""
    for key in state:
        original = state[key]
        cast = original.to(dtype)
        if not _is_finite(cast):
            raise _not_finite(key, original, dtype)
        state[key] = cast.to(device)


def _is_finite(tensor: Tensor) -> bool:
    # One pass: NaN and infinity show in the sum. A finite tensor whose sum overflows is rare.
    if math.isfinite(tensor.sum(dtype=torch.float32).item()):
        return True
    return bool(torch.isfinite(tensor).all())


def _not_finite(key: str, original: Tensor, dtype: torch.dtype) -> CheckpointError:
    if _is_finite(original):
        return CheckpointError(f"{key!r} is too large for {dtype}; load it as bfloat16 or float32")
    return CheckpointError(f"{key!r} holds NaN or infinity: the file is damaged, get it again")
