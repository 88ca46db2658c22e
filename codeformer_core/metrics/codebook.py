"""How much of a codebook is in use."""

import torch
from torch import Tensor


def codebook_usage(codes: Tensor, codebook_size: int) -> tuple[float, float]:
    """Share of the codes in use, and perplexity.

    The perplexity is the number of codes that, used evenly, would be as unpredictable.

    Args:
        codes: indices, any shape, at least one.
        codebook_size: number of codes there are.
    """
    counts = torch.bincount(codes.flatten(), minlength=codebook_size).float()
    shares = counts / counts.sum()
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return float((counts > 0).float().mean()), float(entropy.exp())
