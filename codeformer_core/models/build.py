"""Build the networks of this library: empty first, then given the file's own tensors."""

import math

import torch
from torch import Tensor, nn

from ..checkpoints.building import Target
from ..checkpoints.names import from_published
from ..checkpoints.reader import State, WeightFile
from ..errors import CheckpointError
from ..networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig
from .empty import build_empty
from .layout import codeformer_config, vqgan_config

NETWORK_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
"""Types the networks can run in."""


def build_codeformer(file: WeightFile, target: Target) -> nn.Module:
    """The CodeFormer of a file, of any size and variant; see `build_network`."""
    return build_network(codeformer_config(file), file.state, target)


def build_vqgan(file: WeightFile, target: Target) -> nn.Module:
    """The stage I autoencoder of a file; see `build_network`."""
    return build_network(vqgan_config(file), file.state, target)


def build_network(
    config: CodeFormerConfig | VQGANConfig, state: State, target: Target
) -> CodeFormer | VQGAN:
    """A network with the tensors of a state dict.

    It is built without numbers and takes over the tensors, so the weights are never held twice. On
    the CPU in their own type they stay mapped to the file.

    Args:
        config: its sizes.
        state: published names or ours; emptied, so that cast tensors are not held twice.
        target: how it is wanted.

    Returns:
        The network in evaluation mode, without gradients.

    Raises:
        CheckpointError: incomplete, or not all finite.
    """
    network = build_empty(config, target.operations)
    renamed = from_published(state)
    state.clear()
    check_complete(network, renamed)
    _place(renamed, target.device, target.dtype or _own_dtype(renamed))
    network.load_state_dict(renamed, assign=True)
    return network.eval().requires_grad_(False)


def check_complete(network: nn.Module, state: State) -> None:
    """Check that a state dict has exactly the keys and shapes of a network.

    Args:
        network: its own keys and shapes are what is expected.
        state: tensors by our key names.

    Raises:
        CheckpointError: keys are missing, left over or of another shape; counts and the first.
    """
    expected = {key: tensor.shape for key, tensor in network.state_dict().items()}
    reshaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in expected.items()
        if key in state and state[key].shape != shape
    ]
    problems = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": reshaped,
        "not floating point": [key for key in state if not state[key].is_floating_point()],
    }
    found = [
        f"{len(keys)} keys {what}, first {keys[0][:120]!r}"
        for what, keys in problems.items()
        if keys
    ]
    if found:
        raise CheckpointError("; ".join(found))


def _own_dtype(state: State) -> torch.dtype:
    """The type all tensors share if a network can run in it, else float32."""
    dtypes = {tensor.dtype for tensor in state.values()}
    return dtypes.pop() if len(dtypes) == 1 and dtypes <= set(NETWORK_DTYPES) else torch.float32


def _place(state: State, device: torch.device | str, dtype: torch.dtype) -> None:
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
