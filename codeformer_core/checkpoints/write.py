"""Write weight files: whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ..errors import CheckpointError, SettingError
from ..files import written_whole
from ..networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig
from ..networks.config import NORM_GROUPS
from ..networks.layers import FoldedUpsample
from .names import to_published
from .reader import Metadata, State

PYTORCH_SUFFIXES = (".pth", ".pt", ".ckpt")
"""File names written in PyTorch's own format."""
OF_CONFIG = ("kind", "variant", "heads", "image_size", "narrow_norm_groups", "code_temperature")
"""Metadata keys by which a file says what shapes cannot tell of its network."""


def save_network(
    path: str | Path, network: CodeFormer | VQGAN, metadata: Metadata | None = None
) -> Path:
    """Save a network under the published keys, with what shapes cannot tell as metadata.

    Args:
        path: .safetensors, or .pth to be read by other tools.
        network: any size and variant.
        metadata: more to say about it, such as a licence; what it says of the sizes does not count.

    Returns:
        The path written.

    Raises:
        CheckpointError: the file cannot be written; nothing is left under its name.
        SettingError: another suffix, or a network made for inference only.
    """
    if any(isinstance(module, FoldedUpsample) for module in network.modules()):
        raise SettingError(
            "a network prepared for inference cannot be saved: load it with load_network instead"
        )
    told = {key: text for key, text in (metadata or {}).items() if key not in OF_CONFIG}
    described = told | config_metadata(network.config)
    return write_state(path, network.state_dict(), described)


def config_metadata(config: CodeFormerConfig | VQGANConfig) -> Metadata:
    """What shapes cannot tell of a network, in words."""
    if isinstance(config, VQGANConfig):
        described = {"kind": "vqgan", "image_size": str(config.image_size)}
        if config.narrow_norm_groups != NORM_GROUPS:
            described["narrow_norm_groups"] = str(config.narrow_norm_groups)
        return described
    described = {"kind": "codeformer", "variant": config.variant, "heads": str(config.heads)}
    if config.code_temperature:
        described["code_temperature"] = repr(float(config.code_temperature))
    return config_metadata(config.vqgan) | described


def write_state(path: str | Path, state: State, metadata: Metadata | None = None) -> Path:
    """Write tensors under the published keys, atomically: an old file stays until the new is whole.

    Args:
        path: .safetensors (flat keys and metadata), or .pth (under `params_ema`, metadata beside).
        state: tensors by published key or ours.
        metadata: text by name.

    Returns:
        The path written.

    Raises:
        CheckpointError: the file cannot be written; nothing is left under its name.
        SettingError: another suffix.
    """
    path = Path(path)
    save = _saver(path)
    published = {key: tensor.contiguous() for key, tensor in to_published(state).items()}
    try:
        with written_whole(path) as part:
            save(part, published, {**(metadata or {}), "format": "pt"})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}); check the folder, its permissions and free space"
        ) from error
    return path


def _saver(path: Path) -> Callable[[Path, State, Metadata], None]:
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return _save_safetensors
    if suffix in PYTORCH_SUFFIXES:
        return _save_pytorch
    raise SettingError(f"{path.name}: weights are written as .safetensors or .pth")


def _save_safetensors(path: Path, state: State, metadata: Metadata) -> None:
    save_file(state, path, metadata)


def _save_pytorch(path: Path, state: State, metadata: Metadata) -> None:
    torch.save({"params_ema": state, "metadata": metadata}, path)
