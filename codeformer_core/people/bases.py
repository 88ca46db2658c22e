"""Which model a small file belongs to, known again by a sample of its weights."""

from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints.reader import Metadata
from ..files import file_sha256
from ..networks import CodeFormer

SAMPLE = "base.sample"
"""Key of the sample."""
BASE, BASE_HASH = "base", "base_sha256"
"""Metadata: name and hash of the base model's file."""
SAMPLE_SIZE = 256
LARGEST_DIFFERENCE = 0.02
"""Of a base model's sample, as a share of its deviation: what bfloat16 rounds away is 0.004."""


def base_sample(network: CodeFormer) -> Tensor:
    """(256,) numbers of a model that no adapter changes, on the CPU in float32."""
    codebook = network.quantize.embedding.weight.detach().flatten()
    positions = network.position_emb.detach().flatten()
    return torch.cat([_spread(codebook), _spread(positions)])


def is_base(network: CodeFormer, sample: Tensor) -> bool:
    """Whether a network is the one of which a sample was taken, in any number type."""
    off = (base_sample(network) - sample).abs().max() / sample.std().clamp_min(1e-9)
    return bool(off <= LARGEST_DIFFERENCE)


def about_base(path: Path) -> Metadata:
    """What a file says of its base model's file.

    Raises:
        OSError: that cannot be read.
    """
    return {BASE: path.stem, BASE_HASH: file_sha256(path)}


def _spread(values: Tensor) -> Tensor:
    """Numbers from all over a tensor."""
    count = SAMPLE_SIZE // 2
    places = torch.arange(count, device=values.device) * len(values) // count
    return values[places].float().cpu()
