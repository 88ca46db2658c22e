"""The stage I autoencoder: encoder, codebook, generator (paper, section 3.1).

Module names follow the published checkpoint, in which encoder and generator are flat lists of
blocks; which block stands where follows from the config alone.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from .config import VQGANConfig
from .layers import (
    Downsample,
    Operations,
    ResidualBlock,
    SpatialAttention,
    Upsample,
    group_norm,
)


class Encoder(nn.Module):
    """Picture to latents: (B, 3, S, S) in -1..1 -> (B, code_channels, h, h)."""

    def __init__(self, config: VQGANConfig, operations: Operations = nn) -> None:
        super().__init__()
        self.patch, groups = config.patch, config.narrow_norm_groups
        self.feature_blocks: dict[int, int] = {}
        """Index of the block whose output is the feature map of a given side."""
        blocks: list[nn.Module] = [
            operations.Conv2d(config.stem_channels, config.channels, 3, padding=1)
        ]
        channels = config.channels
        for size, level_channels in zip(config.level_sizes, config.level_channels, strict=True):
            for _ in range(config.blocks):
                blocks.append(ResidualBlock(channels, level_channels, operations, groups))
                channels = level_channels
                if size in config.attention_sizes:
                    blocks.append(SpatialAttention(channels, operations, groups))
            self.feature_blocks[size] = len(blocks) - 1
            if size != config.code_size:
                blocks.append(Downsample(channels, operations))
        blocks += _middle(channels, operations, groups)
        blocks += [
            group_norm(channels, operations, groups),
            operations.Conv2d(channels, config.code_channels, 3, padding=1),
        ]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x, ())[0]

    def with_features(self, x: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, dict[int, Tensor]]:
        """Encode and keep the feature maps of the given sides.

        Args:
            x: (B, 3, S, S) in -1..1.
            sizes: sides of the feature maps to keep.

        Returns:
            Latents (B, code_channels, h, h), and {side: (B, C, side, side)}.
        """
        wanted = {self.feature_blocks[size]: size for size in sizes}
        features: dict[int, Tensor] = {}
        if self.patch > 1:
            x = F.pixel_unshuffle(x, self.patch)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in wanted:
                features[wanted[index]] = x
        return x, features


class Generator(nn.Module):
    """Code features to picture: (B, code_channels, h, h) -> (B, 3, S, S), about -1..1."""

    def __init__(self, config: VQGANConfig, operations: Operations = nn) -> None:
        super().__init__()
        self.patch, groups = config.patch, config.narrow_norm_groups
        self.feature_blocks: dict[int, int] = {}
        """Index of the block after which encoder features of a given side are fused."""
        channels = config.level_channels[-1]
        blocks: list[nn.Module] = [
            operations.Conv2d(config.code_channels, channels, 3, padding=1),
            *_middle(channels, operations, groups),
        ]
        levels = zip(
            config.level_sizes, config.level_channels, config.generator_level_blocks, strict=True
        )
        for size, level_channels, count in reversed(list(levels)):
            self.feature_blocks[size] = len(blocks)
            for _ in range(count):
                blocks.append(ResidualBlock(channels, level_channels, operations, groups))
                channels = level_channels
                if size in config.attention_sizes:
                    blocks.append(SpatialAttention(channels, operations, groups))
            if size != config.level_sizes[0]:
                blocks.append(Upsample(channels, operations))
        blocks += [
            group_norm(channels, operations, groups),
            operations.Conv2d(channels, config.stem_channels, 3, padding=1),
        ]
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self, x: Tensor, fuse: dict[int, Callable[[Tensor], Tensor]] | None = None
    ) -> Tensor:
        """Generate a picture.

        Args:
            x: (B, code_channels, h, h) code features.
            fuse: {side: function applied to the generator's feature map of that side}.

        Returns:
            (B, 3, S, S), about -1..1, not clamped.
        """
        fuse_after = {self.feature_blocks[size]: apply for size, apply in (fuse or {}).items()}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in fuse_after:
                x = fuse_after[index](x)
        return F.pixel_shuffle(x, self.patch) if self.patch > 1 else x


def _middle(channels: int, operations: Operations, groups: int) -> list[nn.Module]:
    """The blocks between encoder levels and latents, and between codes and generator levels."""
    return [
        ResidualBlock(channels, channels, operations, groups),
        SpatialAttention(channels, operations, groups),
        ResidualBlock(channels, channels, operations, groups),
    ]


class Codebook(nn.Module):
    """The discrete prior: `codebook_size` learnt codes of `code_channels` numbers."""

    def __init__(self, config: VQGANConfig, operations: Operations = nn) -> None:
        super().__init__()
        self.embedding = operations.Embedding(config.codebook_size, config.code_channels)

    def nearest(self, latents: Tensor) -> Tensor:
        """Index of the nearest code of each latent: (B, C, h, w) -> (B, h*w) int64 (eq. 1)."""
        # (B, C, h, w) -> (B, h*w, C)
        vectors = latents.flatten(2).transpose(1, 2).float()
        codes = self.embedding.weight.to(vectors)
        # |z - c|^2 without the |z|^2 that all codes share; one matrix product instead of K * h*w
        # differences.
        distances = codes.square().sum(1) - 2 * vectors @ codes.T
        return distances.argmin(2)

    def lookup(self, codes: Tensor, size: int) -> Tensor:
        """Code features of a map of indices: (B, size*size) -> (B, C, size, size)."""
        vectors = self.embedding(codes)
        return vectors.transpose(1, 2).unflatten(2, (size, size))

    def mean(self, logits: Tensor, temperature: float, size: int) -> Tensor:
        """Means of all codes, weighed by the softmax of their scores.

        Args:
            logits: (B, size*size, codebook_size).
            temperature: divides them; the lower, the more the likeliest code counts.
            size: side of the code map.

        Returns:
            (B, C, size, size).
        """
        scores = logits.float()  # half precision has too few digits for a softmax
        # The highest becomes 0, which no temperature makes infinite.
        shares = ((scores - scores.amax(2, keepdim=True)) / temperature).softmax(2)
        # `to`: the codes may lie on another device, as in `nearest`
        vectors = shares @ self.embedding.weight.to(shares)
        return vectors.transpose(1, 2).unflatten(2, (size, size))


class VQGAN(nn.Module):
    """Vector-quantised autoencoder of faces (paper, section 3.1).

    Args:
        config: sizes.
        operations: where layer classes come from.
    """

    def __init__(self, config: VQGANConfig, operations: Operations = nn) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, operations)
        self.quantize = Codebook(config, operations)
        self.generator = Generator(config, operations)

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.config.image_size

    def encode(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, C, h, h) and nearest codes (B, h*h) of crops (B, 3, S, S) in -1..1."""
        latents = self.encoder(crops)
        return latents, self.quantize.nearest(latents)

    def decode(self, codes: Tensor) -> Tensor:
        """Picture (B, 3, S, S), about -1..1, of code indices (B, h*h)."""
        return self.generator(self.quantize.lookup(codes, self.config.code_size))

    def forward(self, crops: Tensor) -> Tensor:
        """Encode, look up the nearest codes, generate: (B, 3, S, S) in -1..1 to the same."""
        return self.decode(self.encode(crops)[1])
