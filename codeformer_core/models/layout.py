"""Read every size of a CodeFormer or VQGAN from its keys and shapes.

The published layout: encoder and generator are flat lists of blocks. A block is told apart by the
names of its tensors (`norm1`: residual, `q`: attention, `conv`: halving or doubling, a bare weight:
convolution or norm), so the order of the blocks spells out the levels.
"""

import math
import re
from collections.abc import Iterable, Mapping

from ..checkpoints.building import any_of, has_keys
from ..checkpoints.reader import Metadata, State, WeightFile
from ..errors import CheckpointError
from ..networks import CodeFormerConfig, VQGANConfig
from ..networks.config import NORM_GROUPS

CODEFORMER = any_of(
    has_keys("position_emb", "quantize.", "encoder.blocks.0."),
    has_keys("idx_pred_layer.", "ft_layers.", "generator.blocks."),
)
VQGAN = has_keys("encoder.blocks.0.", "quantize.embedding.", "generator.blocks.0.")
"""Whether a file is of the kind; a CodeFormer has all that a VQGAN has."""
HEADS = 8
"""Attention heads of the published network; not visible in the weights."""
CODE_SIZE = 16
"""Side of the published code map; not visible in a VQGAN, which has no position embedding."""
PUBLISHED_SIZE = 512
"""Side of the crops of all published networks."""
TASK_FUSION_SIZES = (32, 64, 128)
"""Fusion sizes of the published inpainting and colorization networks; restoration has 256 too."""
INPAINTING_CODES = 512
"""Codebook size by which the published inpainting network is told from the colorization one."""
MAX_LAYERS = 256
"""Most transformer layers, or blocks of an encoder, taken for a real network's."""
MAX_SIDE = 1 << 16
"""Largest side of a tensor taken for a real network's."""
MAX_SIZE = 4096
"""Largest side of crops taken for a real network's."""


def vqgan_config(file: WeightFile) -> VQGANConfig:
    """Sizes of the autoencoder in a stage I, II or III file.

    Args:
        file: only keys and shapes are looked at; of its metadata `narrow_norm_groups`, and
            `image_size` where no position embedding tells it.

    Raises:
        CheckpointError: keys are missing or the shapes fit no network.
        SettingError: the sizes are contradictory.
    """
    state = file.state
    channels, stem_channels = _shape(state, "encoder.blocks.0.weight", 4)[:2]
    codebook_size, code_channels = _shape(state, "quantize.embedding.weight", 2)
    levels = _levels(_block_kinds(state, "encoder"))
    blocks = len(levels[0].residuals)
    patch = math.isqrt(stem_channels // 3)
    code_size = _code_size(state, file.metadata, patch, len(levels))
    multipliers = tuple(_level_width(state, level) / max(1, channels) for level in levels)
    image_size = patch * code_size << (len(levels) - 1)
    if image_size > MAX_SIZE:
        raise CheckpointError(f"it would restore crops of {image_size} px, at most {MAX_SIZE}")
    if stem_channels != 3 * patch**2 or any(m != int(m) for m in multipliers):
        raise CheckpointError("its channel counts are those of no network of this family")
    return VQGANConfig(
        image_size=image_size,
        channels=channels,
        multipliers=tuple(map(int, multipliers)),
        blocks=blocks,
        generator_blocks=_generator_blocks(_block_kinds(state, "generator"), len(levels), blocks),
        attention_sizes=tuple(
            code_size << (len(levels) - 1 - index)
            for index, level in reversed(list(enumerate(levels)))
            if level.has_attention
        ),
        codebook_size=codebook_size,
        code_channels=code_channels,
        patch=patch,
        narrow_norm_groups=_number(file.metadata, "narrow_norm_groups", NORM_GROUPS, NORM_GROUPS),
    )


def codeformer_config(file: WeightFile) -> CodeFormerConfig:
    """Sizes and variant of a stage II or III file.

    Args:
        file: keys published or ours; only they and shapes are looked at. Its metadata's `heads`,
            `variant` and `code_temperature`, which shapes cannot tell, win over the guess.

    Raises:
        CheckpointError: keys are missing or the shapes fit no network.
        SettingError: the sizes are contradictory.
    """
    state, metadata, vqgan = file.state, file.metadata, vqgan_config(file)
    fusion_sizes = tuple(sorted(_indices(state, "fuse_convs_dict")))
    return CodeFormerConfig(
        vqgan=vqgan,
        width=_shape(state, "position_emb", 2)[1],
        heads=_number(metadata, "heads", HEADS, 1024),
        layers=_count(state, "ft_layers"),
        fusion_sizes=fusion_sizes,
        variant=metadata.get("variant", "")[:40] or guess_variant(vqgan, fusion_sizes),
        code_temperature=_decimal(metadata, "code_temperature"),
    )


def guess_variant(vqgan: VQGANConfig, fusion_sizes: tuple[int, ...]) -> str:
    """What a network without metadata was trained for, from the sizes of the published three."""
    if vqgan.image_size != PUBLISHED_SIZE or fusion_sizes != TASK_FUSION_SIZES:
        return "restoration"
    return "inpainting" if vqgan.codebook_size == INPAINTING_CODES else "colorization"


class _Level:
    """The blocks of one resolution of the encoder."""

    def __init__(self) -> None:
        self.residuals: list[int] = []
        """Indices of its residual blocks."""
        self.has_attention = False
        """Whether they are followed by self-attention."""


def _block_kinds(state: State, part: str) -> list[str]:
    """Kind of every block of "encoder" or "generator", in order."""
    prefix = f"{part}.blocks"
    return [_block_kind(state, f"{prefix}.{index}") for index in range(_count(state, prefix))]


def _block_kind(state: State, prefix: str) -> str:
    marks = {"norm1": "residual", "q": "attention", "conv": "resample"}
    for mark, kind in marks.items():
        if f"{prefix}.{mark}.weight" in state:
            return kind
    return "convolution" if len(_any_shape(state, f"{prefix}.weight")) == 4 else "norm"


def _levels(kinds: list[str]) -> list[_Level]:
    """Cut an encoder's blocks into levels; the stem and the middle belong to none."""
    middle = ["residual", "attention", "residual", "norm", "convolution"]
    if kinds[:1] != ["convolution"] or kinds[-5:] != middle:
        raise CheckpointError("its encoder has not the blocks of a CodeFormer encoder")
    levels = [_Level()]
    for index, kind in enumerate(kinds[1:-5], start=1):
        if kind == "resample":
            levels.append(_Level())
        elif kind == "residual":
            levels[-1].residuals.append(index)
        else:
            levels[-1].has_attention = True
    if len({len(level.residuals) for level in levels}) != 1 or not levels[0].residuals:
        raise CheckpointError("the levels of its encoder have different numbers of blocks")
    return levels


def _generator_blocks(kinds: list[str], levels: int, blocks: int) -> tuple[int, ...]:
    """Residual blocks of each of its levels, from full resolution down; none where all are alike.

    Args:
        kinds: of the generator's blocks.
        levels: that the encoder has.
        blocks: a level of the encoder.
    """
    middle = ["convolution", "residual", "attention", "residual"]
    if kinds[:4] != middle or kinds[-2:] != ["norm", "convolution"]:
        raise CheckpointError("its generator has not the blocks of a CodeFormer generator")
    counts = [0]
    for kind in kinds[4:-2]:
        if kind == "resample":
            counts.append(0)
        counts[-1] += kind == "residual"
    if len(counts) != levels:
        raise CheckpointError(f"its generator has {len(counts)} levels, its encoder {levels}")
    return () if set(counts) == {blocks} else tuple(reversed(counts))


def _level_width(state: State, level: _Level) -> int:
    return _shape(state, f"encoder.blocks.{level.residuals[-1]}.conv1.weight", 4)[0]


def _code_size(state: State, metadata: Metadata, patch: int, levels: int) -> int:
    """Side of the code map: from the position embedding, else from the metadata, else published."""
    if "position_emb" in state:
        tokens = _shape(state, "position_emb", 2)[0]
        side = math.isqrt(tokens)
        if side * side != tokens:
            raise CheckpointError(f"its {tokens} positions do not make a square")
        return side
    default = CODE_SIZE * patch << (levels - 1)
    return _number(metadata, "image_size", default, MAX_SIZE) // max(1, patch) >> (levels - 1)


def _shape(state: State, key: str, dimensions: int) -> tuple[int, ...]:
    """Shape of a tensor that must be there with so many dimensions."""
    shape = _any_shape(state, key)
    if len(shape) != dimensions or not all(1 <= side <= MAX_SIDE for side in shape):
        raise CheckpointError(f"{key!r} has shape {shape}, expected {dimensions} dimensions")
    return shape


def _any_shape(state: State, key: str) -> tuple[int, ...]:
    if key not in state:
        raise CheckpointError(f"{key!r} is missing")
    return tuple(state[key].shape)


def _count(state: State, prefix: str) -> int:
    """Number of consecutive indices `prefix.0`, `prefix.1`, ... in the keys."""
    indices = _indices(state, prefix)
    if not 1 <= len(indices) <= MAX_LAYERS or indices != set(range(len(indices))):
        raise CheckpointError(f"the {len(indices)} blocks of {prefix!r} are not numbered from 0 on")
    return len(indices)


def _indices(state: Iterable[str], prefix: str) -> set[int]:
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,5})\.")
    return {int(match[1]) for key in state if (match := pattern.match(key))}


def _number(metadata: Mapping[str, str], key: str, default: int, largest: int) -> int:
    """A positive whole number from the metadata."""
    text = metadata.get(key)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= largest:
        raise CheckpointError(f"its metadata gives {key}={text[:40]!r}, expected 1 to {largest}")
    return int(text)


def _decimal(metadata: Mapping[str, str], key: str) -> float:
    """A number of 0 or more from the metadata; 0 if it says nothing."""
    text = metadata.get(key, "0")
    try:
        number = float(text[:40])
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise CheckpointError(f"its metadata gives {key}={text[:40]!r}, expected a number from 0")
    return number
