"""LPIPS proper, by the `lpips` package, where its backbone can be downloaded."""

from typing import Any

import torch
from torch import Tensor

from ..errors import MissingModelError
from ..images import to_network
from ..packages import needed_for


class LPIPS:
    """Learned perceptual image patch similarity (R. Zhang et al. 2018).

    Args:
        network: a network of the `lpips` package; AlexNet, its authors' choice for evaluation,
            if left out. Its backbone is downloaded by torchvision on first use.

    Raises:
        MissingModelError: the package, or the backbone, cannot be had here.
    """

    def __init__(self, network: Any = None) -> None:
        self._network = network or _load()

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of pictures: two (B, H, W, 3) in 0..1 to (B,), lower is closer."""
        with torch.no_grad():
            return self._network(to_network(first), to_network(second)).flatten()


def _load() -> Any:
    with needed_for("LPIPS", "lpips"):
        import lpips
    try:
        return lpips.LPIPS(net="alex", verbose=False).eval().requires_grad_(False)
    except OSError as error:  # URLError among them
        raise MissingModelError(
            f"LPIPS needs AlexNet, which cannot be downloaded here ({error}); the perceptual "
            "distance needs no download"
        ) from error
