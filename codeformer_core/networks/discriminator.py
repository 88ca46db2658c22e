"""The discriminator of the adversarial loss; used in training only."""

from torch import Tensor, nn

from .layers import Operations


class PatchDiscriminator(nn.Module):
    """Score overlapping patches as real or generated: (B, 3, S, S) -> (B, 1, s, s) logits.

    The PatchGAN of Isola et al. (2017), as VQGAN uses it: strided 4x4 convolutions that double the
    channels, then two that keep the side. GroupNorm instead of batch statistics: batches here are
    small, and of real and of generated pictures by turns.

    Args:
        channels: of the first layer.
        layers: strided convolutions; each doubles the patch.
        operations: where layer classes come from.
    """

    def __init__(self, channels: int = 64, layers: int = 3, operations: Operations = nn) -> None:
        super().__init__()
        widths = [channels * min(2**layer, 8) for layer in range(layers + 1)]
        modules: list[nn.Module] = [
            nn.Conv2d(3, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
        ]
        for layer in range(1, layers + 1):
            stride = 2 if layer < layers else 1
            modules += [
                nn.Conv2d(widths[layer - 1], widths[layer], 4, stride, padding=1, bias=False),
                operations.GroupNorm(min(32, widths[layer] // 4), widths[layer]),
                nn.LeakyReLU(0.2),
            ]
        modules.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.layers = nn.Sequential(*modules)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)
