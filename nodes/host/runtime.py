"""Where networks run: in the hands of the host's memory manager."""

from __future__ import annotations

from typing import Any

import comfy.cli_args
import comfy.model_management as memory
import comfy.model_patcher
import comfy.ops
import comfy.patcher_extension
import torch
from torch import Tensor

from ...codeformer_core.runtime import Runtime, fastest_dtype
from .progress import ProgressBar


class HostRuntime(Runtime):
    """Runs networks under the memory manager, with the running node's progress bar and Cancel.

    Weights are brought to the device before every batch, so nothing breaks when the host evicted
    them in between.
    """

    def __init__(self, *, previews: bool = True, panel: bool = False) -> None:
        """Prepare to run networks.

        Args:
            previews: whether `show` shows. Nodes 2.0 keeps the last one, under a node's own result.
            panel: whether they go to the node's panel instead, which keeps none.
        """
        self._bar, self._previews = ProgressBar(panel=panel), previews
        super().__init__(self._bar)

    def device(self, network: Any) -> torch.device:
        """Where the host computes."""
        return _patchers_of(network)[0].load_device

    def load(self, network: Any, bytes_needed: float) -> None:
        """Bring the weights to the device, making room for so many more bytes."""
        patchers = _patchers_of(network)
        memory.load_models_gpu(patchers, memory_required=bytes_needed, force_full_load=True)
        for patcher in patchers:
            if not casts(patcher.model):
                # A partial load leaves plain layers where they were.
                patcher.model.to(patcher.load_device)

    def free_memory(self, device: torch.device) -> float:
        """Bytes that can be taken on a device now."""
        return memory.get_free_memory(device)

    def out_of_memory(self, network: Any, item: str) -> Exception:
        """The host's own error, at which it gives back all memory."""
        return memory.OOM_EXCEPTION(
            f"{self.device(network)} has no room for even {item}: free what other models and "
            "programs take, or start ComfyUI with --cpu"
        )

    def release_memory(self) -> None:
        """Give back what failed attempts left."""
        memory.soft_empty_cache()

    def show(self, picture: Tensor) -> None:
        """Show (H, W, 3) in 0..1 beside the progress bar."""
        if self._previews:
            self._bar.show(picture)


def _patchers_of(network: Any) -> list[comfy.model_patcher.ModelPatcher]:
    """Those of a network, or of its parts: some are shared, and outlive what they are in."""
    return [patcher_of(part) for part in getattr(network, "parts", (network,))]


def patcher_of(network: Any) -> comfy.model_patcher.ModelPatcher:
    """The memory manager's handle on a network, made on first use."""
    # On the network itself: a dictionary of them, even a weak one, would keep every network, since
    # a patcher holds its own.
    patcher = vars(network).get("codeformer_patcher")
    if patcher is None:
        patcher = network.codeformer_patcher = _new_patcher(network)
    return patcher


def casts(network: torch.nn.Module) -> bool:
    """Whether a network's layers are the host's, which move weights at the moment of use."""
    return any(hasattr(module, "comfy_cast_weights") for module in network.modules())


def _new_patcher(network: torch.nn.Module) -> comfy.model_patcher.ModelPatcher:
    """The newest patcher that knows how to handle the network's layers."""
    archive_dtypes = getattr(memory, "archive_model_dtypes", None)
    if archive_dtypes is not None:
        archive_dtypes(network)
    newest = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    make = newest if casts(network) else comfy.model_patcher.ModelPatcher
    patcher = make(
        network,
        load_device=memory.get_torch_device(),
        offload_device=offload_device(),
        size=getattr(network, "weight_bytes", 0),  # of weights that are no tensors of PyTorch's
    )
    if hasattr(network, "release"):
        patcher.add_callback(comfy.patcher_extension.CallbacksMP.ON_DETACH, _release)
    return patcher


def _release(patcher: comfy.model_patcher.ModelPatcher, evicted: bool) -> None:
    """Give back what a network holds besides its weights; every load detaches it for a moment."""
    if evicted:
        patcher.model.release()


def operations() -> Any:
    """Layer classes that cast and move their weights at the moment of use."""
    return comfy.ops.manual_cast


def offload_device() -> torch.device:
    """Where networks wait while they are not needed."""
    return memory.unet_offload_device()


def network_dtype() -> torch.dtype:
    """Type for an autoencoder of pixels, under the same command line switches as the host's VAE.

    The host itself leaves the processor at float32, even where bfloat16 is several times faster.
    """
    device = memory.get_torch_device()
    chosen = memory.vae_dtype(device, [torch.bfloat16, torch.float32])
    wants_float32 = comfy.cli_args.args.fp32_vae or comfy.cli_args.args.force_fp32
    if memory.is_device_cpu(device) and chosen == torch.float32 and not wants_float32:
        return fastest_dtype(device)
    return chosen


def to_output(tensor: Tensor) -> Tensor:
    """Bring a result to where the host keeps what goes from node to node, as it keeps it."""
    newer = getattr(memory, "intermediate_dtype", None)
    dtype = tensor.dtype if newer is None else newer()
    return tensor.to(memory.intermediate_device(), dtype)
