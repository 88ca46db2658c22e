"""Sizes of the networks. A config object is the only thing a network is built from."""

import math
from dataclasses import dataclass, field

from ..errors import SettingError

NORM_GROUPS = 32
"""Groups of a GroupNorm; all channel counts are multiples of it."""


@dataclass(frozen=True)
class VQGANConfig:
    """Sizes of the stage I autoencoder (paper, section 3.1); by default the published ones."""

    image_size: int = 512
    """Side of the square face crops in pixels."""
    channels: int = 64
    """Channels of the first convolution; a level has `channels * multiplier`."""
    multipliers: tuple[int, ...] = (1, 2, 2, 4, 4, 8)
    """One per level, from full resolution down; each level but the last halves the side."""
    blocks: int = 2
    """Residual blocks a level."""
    attention_sizes: tuple[int, ...] = (16,)
    """Sides of the feature maps whose residual blocks are followed by self-attention."""
    codebook_size: int = 1024
    """Number of codes."""
    code_channels: int = 256
    """Length of a code."""
    patch: int = 1
    """Side of the pixel blocks folded into channels at the input and unfolded at the output.

    1 is the published network. 2 or 4 starts at a half or a quarter of the resolution, which
    makes a small model several times cheaper.
    """
    narrow_norm_groups: int = NORM_GROUPS
    """Groups of a GroupNorm over 32 channels; not visible in the weights.

    32 is the published rule. It leaves one channel a group there, which deletes the brightness of
    what passes through; with 8, faces keep theirs.
    """
    generator_blocks: tuple[int, ...] = ()
    """Residual blocks of the generator's levels, from full resolution down; `blocks` if left out.

    Detail is drawn in its outer levels, where a slim network has few layers.
    """

    def __post_init__(self) -> None:
        """Refuse sizes no network can have.

        Raises:
            SettingError: a size is not positive or does not divide as it must.
        """
        widths = [self.channels * multiplier for multiplier in self.multipliers]
        sizes = (self.image_size, self.blocks, self.codebook_size, self.code_channels, self.patch)
        if not widths or min(*sizes, *widths, *self.generator_blocks) < 1:
            raise SettingError(f"VQGAN sizes must be positive: {self}")
        if len(self.generator_blocks) not in (0, len(widths)):
            raise SettingError(f"generator_blocks must name {len(widths)} levels, or none: {self}")
        if any(width % NORM_GROUPS for width in [self.channels, *widths]):
            raise SettingError(f"channels must be multiples of {NORM_GROUPS}, got {widths}")
        if not 1 <= self.narrow_norm_groups <= NORM_GROUPS or NORM_GROUPS % self.narrow_norm_groups:
            raise SettingError(
                f"narrow_norm_groups must divide {NORM_GROUPS}, got {self.narrow_norm_groups}"
            )
        if self.image_size % (self.patch * 2 ** (len(widths) - 1)):
            raise SettingError(
                f"image size {self.image_size} cannot be halved {len(widths) - 1} times "
                f"after a stem of {self.patch}"
            )

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Side of the feature maps of each level, from full resolution down."""
        first = self.image_size // self.patch
        return tuple(first >> level for level in range(len(self.multipliers)))

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of the feature maps of each level."""
        return tuple(self.channels * multiplier for multiplier in self.multipliers)

    @property
    def generator_level_blocks(self) -> tuple[int, ...]:
        """Residual blocks of each level of the generator."""
        return self.generator_blocks or (self.blocks,) * len(self.multipliers)

    @property
    def channels_by_size(self) -> dict[int, int]:
        """Channels of the feature maps of each level by their side."""
        return dict(zip(self.level_sizes, self.level_channels, strict=True))

    @property
    def code_size(self) -> int:
        """Side of the code map: 16 for the published network."""
        return self.level_sizes[-1]

    @property
    def stem_channels(self) -> int:
        """Channels of a picture after folding `patch` x `patch` pixels."""
        return 3 * self.patch**2


@dataclass(frozen=True)
class CodeFormerConfig:
    """Sizes of CodeFormer (paper, sections 3.2 and 3.3). The defaults are the published ones."""

    vqgan: VQGANConfig = field(default_factory=VQGANConfig)
    """The autoencoder whose codes are predicted."""
    width: int = 512
    """Channels of a transformer token; the feed-forward layer has twice as many."""
    heads: int = 8
    """Attention heads; not visible in the weights."""
    layers: int = 9
    """Self-attention layers that predict the codes."""
    fusion_sizes: tuple[int, ...] = (32, 64, 128, 256)
    """Sides of the feature maps where encoder features are fused into the generator."""
    variant: str = "restoration"
    """What the weights were trained for: restoration, inpainting or colorization."""
    code_temperature: float = 0.0
    """Of the softmax by which the mean of all codes is drawn; not visible in the weights.

    0 draws the likeliest code alone, as published. Where several look alike, their mean is closer
    to the face than a guess between them.
    """

    def __post_init__(self) -> None:
        """Refuse sizes no network can have.

        Raises:
            SettingError: unknown variant, heads that do not divide the width, a fusion size the
                autoencoder has no level for, or a temperature below 0.
        """
        if self.variant not in ADAIN_BY_VARIANT:
            raise SettingError(
                f"unknown variant {self.variant!r:.40}, choose from {', '.join(ADAIN_BY_VARIANT)}"
            )
        if min(self.width, self.heads, self.layers) < 1:
            raise SettingError(f"CodeFormer sizes must be positive: {self}")
        if not 0 <= self.code_temperature < math.inf:
            raise SettingError(
                f"code_temperature must be 0 or a positive number, got {self.code_temperature}"
            )
        if self.width % self.heads:
            raise SettingError(f"{self.heads} heads do not divide a width of {self.width}")
        unknown = set(self.fusion_sizes) - set(self.vqgan.level_sizes)
        if unknown:
            raise SettingError(
                f"fusion sizes {sorted(unknown)} are no level of {self.vqgan.level_sizes}"
            )

    @property
    def feature_sizes(self) -> tuple[int, ...]:
        """Sides of the encoder's features that the generator may be given beside the codes.

        Those that are fused, and the smaller ones, which cost little: a conditioning may read them.
        """
        largest = max(self.fusion_sizes, default=self.vqgan.code_size)
        return tuple(side for side in self.vqgan.level_sizes if side <= largest)


ADAIN_BY_VARIANT = {"restoration": True, "inpainting": False, "colorization": True}
"""Whether a variant matches the statistics of the code features to those of the input."""
