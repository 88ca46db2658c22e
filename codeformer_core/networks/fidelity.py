"""The paper's w: how much of the encoder's features is fused into the generated face."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingError

Fidelity = float | Sequence[float] | Tensor
"""One number for all faces, or one a face; 0 is best quality, 1 is closest to the input."""


def fidelity_per_face(fidelity: Fidelity, count: int) -> Tensor:
    """Fidelity as (count,) float32 on the CPU: what decides the control flow waits for no GPU.

    Raises:
        SettingError: neither one value nor one a face, or a value outside 0..1.
    """
    values = torch.as_tensor(fidelity, dtype=torch.float32, device="cpu").reshape(-1)
    if values.numel() not in (1, count):
        raise SettingError(
            f"fidelity has {values.numel()} values for {count} faces: give one number, or as many"
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise SettingError(f"fidelity must be between 0 and 1, got {values.tolist()}")
    return values.expand(count)
