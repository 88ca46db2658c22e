"""Repeat in float32 what left the range of float16."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def overflowed(*results: Tensor) -> bool:
    """Whether any of them is float16 and holds infinity or NaN; asks nothing of other types.

    bfloat16 and float32 have the same range, which no face leaves, and looking at the numbers makes
    a GPU wait.
    """
    halves = [result for result in results if result.dtype == torch.float16]
    return not all(bool(result.isfinite().all()) for result in halves)


@contextmanager
def in_float32(network: nn.Module) -> Iterator[None]:
    """While inside, the parameters are float32 copies; the very same ones come back afterwards."""
    warnings.warn(
        "float16 is too small for this face: it is done again in float32. Load the model as "
        "bfloat16 or float32 to save that time",
        RuntimeWarning,
        stacklevel=4,
    )
    originals = [(parameter, parameter.data) for parameter in network.parameters()]
    try:
        for parameter, data in originals:
            parameter.data = data.float()
        yield
    finally:
        for parameter, data in originals:
            parameter.data = data
