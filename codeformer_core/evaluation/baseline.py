"""The talk's baseline: a codebook without the transformer."""

from torch import Tensor, nn

from ..networks import VQGAN, CodeFormer, CodeFormerConfig, Fidelity


class NearestNeighbour(nn.Module):
    """Restores with the codes nearest to what the encoder sees.

    Degraded features fall far from their codes, so identity is lost: the reason why CodeFormer
    predicts the codes from the whole face instead (paper, section 3.2).

    Args:
        network: a stage I autoencoder, as in the talk; or a CodeFormer, whose encoder has seen
            degraded faces.
    """

    def __init__(self, network: VQGAN | CodeFormer) -> None:
        super().__init__()
        self.network = network

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.network.size

    @property
    def config(self) -> CodeFormerConfig:
        """Sizes; of a CodeFormer around the autoencoder if there is none."""
        config = self.network.config
        if isinstance(config, CodeFormerConfig):
            return config
        return CodeFormerConfig(config, fusion_sizes=())

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.0, adain: bool | None = None) -> Tensor:
        """(N, 3, S, S) in -1..1 to the same; there is nothing for the other settings to do."""
        codes = self.codes(crops)
        code_size = self.config.vqgan.code_size
        return self.network.generator(self.network.quantize.lookup(codes, code_size))

    def codes(self, crops: Tensor) -> Tensor:
        """(N, T) indices of the nearest codes of (N, 3, S, S) in -1..1."""
        return self.network.quantize.nearest(self.network.encoder(crops))
