"""Face restorers of others, as the package `spandrel` reads them, in the place of CodeFormer."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..checkpoints.building import Target, any_of, has_keys
from ..checkpoints.reader import State, WeightFile
from ..errors import CheckpointError
from ..networks import Fidelity
from ..packages import needed_for

SIDE = 512
"""All of them are trained on crops of the five-point template at this size."""
BYTES_PER_FACE = 1.6e9
"""For the activations of one face; CodeFormer's own need is of that order."""
GFPGAN = has_keys("stylegan_decoder")
RESTOREFORMER = any_of(
    has_keys("vqvae.encoder.", "vqvae.quantize."),
    has_keys("encoder.down.", "decoder.up.", "quantize.embedding."),
)
PREFIX = "vqvae."
"""Of the network's keys where a RestoreFormer was saved with the losses it was trained by."""


class SpandrelRestorer(nn.Module):
    """A GFPGAN or RestoreFormer, called as CodeFormer is: (N, 3, S, S) in -1..1 to the same.

    Args:
        descriptor: what spandrel has loaded.
        name: what the user knows it by.
    """

    takes_fidelity = False
    """Whether fidelity has an effect on it."""
    variant = "restoration"
    """What it was trained for."""
    bytes_per_face = BYTES_PER_FACE
    """Memory that the activations of one face take."""

    def __init__(self, descriptor: Any, name: str) -> None:
        super().__init__()
        self.network: nn.Module = descriptor.model
        self._descriptor = descriptor
        self.family: str = descriptor.architecture.id
        self.size: int = max(SIDE, descriptor.size_requirements.minimum)
        self.notice = f"{name} is a {self.family}: fidelity and adain have no effect on it"

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None) -> Tensor:
        """Restore crops; `fidelity` and `adain` do nothing.

        Args:
            crops: (N, 3, S, S) in -1..1 with S = `size`, on the network's device.
            fidelity: ignored.
            adain: ignored.

        Returns:
            (N, 3, S, S) in the type of `crops`.
        """
        dtype = next(self.network.parameters()).dtype
        # One by one: not all of these networks take batches. Some call `view` on features, which
        # lie in memory as their input does.
        faces = [
            self._restored(crop.to(dtype, memory_format=torch.contiguous_format)).to(crops)
            for crop in crops.split(1)
        ]
        return torch.cat(faces) if faces else crops.clone()

    def _restored(self, crop: Tensor) -> Tensor:
        """Restore (1, 3, S, S) in -1..1 in the family's own convention."""
        if self.family == "GFPGAN":
            # Its network works in -1..1 itself; spandrel passes 0..1 and clamps the result there.
            # Stored noise instead of new one: the same picture gives the same face.
            return self.network(crop, return_rgb=False, randomize_noise=False)[0]
        restored = self._descriptor(crop * 0.5 + 0.5) * 2 - 1
        if restored.shape[-1] != crop.shape[-1]:
            restored = functional.interpolate(restored, crop.shape[-2:], mode="area")
        return restored


def build_spandrel(file: WeightFile, target: Target) -> SpandrelRestorer:
    """The restorer of a file, in the file's own number type, for not all of them run in another.

    Raises:
        MissingModelError: spandrel is not installed.
        CheckpointError: spandrel does not know this layout.
    """
    with needed_for(file.path.name, "spandrel"):
        import spandrel
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(_own_keys(file.state))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"spandrel cannot load it ({reason or type(error).__name__})"
        ) from error
    restorer = SpandrelRestorer(descriptor, file.path.stem)
    return restorer.to(target.device).eval().requires_grad_(False)


def _own_keys(state: State) -> State:
    """The network's own tensors, without what it was trained by."""
    own = {key: tensor for key, tensor in state.items() if key.startswith(PREFIX)}
    return {key.removeprefix(PREFIX): tensor for key, tensor in (own or state).items()}
