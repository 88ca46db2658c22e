"""Face models of others, as the host's `spandrel` reads them, in the place of CodeFormer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from .host import Hosted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..codeformer_core.networks import FaceCodes, Fidelity

SIDE = 512
"""All of them are trained on crops of the five-point template at this size."""

MEMORY_PER_FACE = 1.6e9
"""Bytes for the activations of one face; CodeFormer's own need is of that order."""

FAMILIES = frozenset({"gfpgan", "restoreformer", "unknown"})
"""Kinds of files that are worth showing to spandrel."""


class HostedFaceModel(Hosted):
    """A face restorer of others under the memory manager, called as CodeFormer is.

    Attributes:
        size: side of the crops in pixels.
        config: says that it restores.
        notice: what a user who sets a fidelity should know.
    """

    def __init__(self, descriptor: Any, name: str) -> None:
        """Take over a model that spandrel has loaded."""
        super().__init__(descriptor.model, name, casting=False)
        self._descriptor = descriptor
        self.family: str = descriptor.architecture.id
        self.size = max(SIDE, descriptor.size_requirements.minimum)
        self.config = SimpleNamespace(variant="restoration")
        self.notice = f"{name} is a {self.family}: fidelity and adain have no effect on it"

    def chunk(self) -> int:
        """One face at a time: not all of these networks take batches."""
        return 1

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore (N, 3, S, S) in -1..1 to the same; `fidelity` and `adain` do nothing."""
        dtype = next(self.network.parameters()).dtype
        faces: list[Tensor] = []
        with torch.no_grad():
            for crop in crops.split(1):
                self.load(MEMORY_PER_FACE)
                # Some call `view` on features, which lie in memory as their input does.
                face = crop.to(self.device, dtype, memory_format=torch.contiguous_format)
                faces.append(self._run(face).to(crops))
        return torch.cat(faces) if faces else crops.clone()

    def encode(self, crops: Tensor) -> FaceCodes:
        """Raise as `refuse_codes` does."""
        self.refuse_codes()

    def refuse_codes(self) -> NoReturn:
        """Raise: there are no codes.

        Raises:
            SettingError: always.
        """
        from ..codeformer_core.errors import SettingError

        raise SettingError(
            f"{self.name} is a {self.family} and has no codes to encode: use Restore Faces, or "
            "load a CodeFormer"
        )

    def _run(self, crop: Tensor) -> Tensor:
        """Restore (1, 3, S, S) in -1..1 in the family's own convention."""
        if self.family == "GFPGAN":
            # Its network works in -1..1 itself; spandrel passes 0..1 and clamps the result there.
            # Stored noise instead of new one: the same picture gives the same face.
            return self.network(crop, return_rgb=False, randomize_noise=False)[0]
        restored = self._descriptor(crop * 0.5 + 0.5) * 2 - 1
        if restored.shape[-1] != crop.shape[-1]:
            restored = functional.interpolate(restored, crop.shape[-2:], mode="area")
        return restored


def load_face_model(path: Path) -> HostedFaceModel | None:
    """Load a face model of others; None if the file holds none that spandrel knows.

    Args:
        path: a weight file.

    Raises:
        CheckpointError: the file is damaged.
    """
    from ..codeformer_core.checkpoints import read_state
    from ..codeformer_core.models.identify import recognise

    state, _ = read_state(path)
    descriptor = _described(state) if recognise(state).kind in FAMILIES else None
    return None if descriptor is None else HostedFaceModel(descriptor, path.stem)


def _described(state: Mapping[str, Tensor]) -> Any | None:
    """Spandrel's descriptor of a face model."""
    import spandrel

    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(dict(state))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError):
        return None
    is_image_model = isinstance(descriptor, spandrel.ImageModelDescriptor)
    return descriptor if is_image_model and descriptor.purpose == "FaceSR" else None
