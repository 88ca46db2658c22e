"""The baseline: a codebook without the transformer."""

import math

from torch import Tensor, nn

from ..networks import VQGAN, CodeFormer


class NearestNeighbour(nn.Module):
    """Restores with the codes nearest to what the encoder sees.

    Degraded features fall far from their codes, so identity is lost: the reason why CodeFormer
    predicts the codes from the whole face instead (paper, section 3.2).

    Args:
        network: a stage I autoencoder; or a CodeFormer, whose encoder has seen
            degraded faces.
    """

    def __init__(self, network: VQGAN | CodeFormer) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) in -1..1 to the same."""
        codes = self.codes(crops)
        side = math.isqrt(codes.shape[1])
        return self.network.generator(self.network.quantize.lookup(codes, side))

    def codes(self, crops: Tensor) -> Tensor:
        """(N, T) indices of the nearest codes of (N, 3, S, S) in -1..1."""
        return self.network.quantize.nearest(self.network.encoder(crops))
