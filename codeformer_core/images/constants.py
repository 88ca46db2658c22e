"""Constants on the device that needs them."""

from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def constant(values: tuple[Any, ...], device: torch.device) -> Tensor:
    """Numbers as a float32 tensor, sent to a device once: it would wait each time."""
    with torch.inference_mode(False):  # whoever asks first: a later one may want gradients
        return torch.tensor(values, dtype=torch.float32, device=device)
