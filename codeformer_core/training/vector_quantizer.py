"""Keeping a codebook alive: k-means start, moving averages, revival of dead codes.

A codebook learnt by plain gradients from a random start collapses to a handful of codes. The
moving averages minimise the same |sg(Z_h) - Z_c|^2 as the codebook term of eq. 2 (van den Oord et
al. 2017, appendix A.1).
"""

import torch
from torch import Tensor, nn

from ..networks.vqgan import Codebook


def kmeans(vectors: Tensor, count: int, rounds: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm: (N, C) vectors to (count, C) centres; empty centres are drawn anew."""
    # All vectors before any twice, for a batch with fewer of them than there are codes.
    rounds_of_picks = -(-count // len(vectors))
    picks = [torch.randperm(len(vectors), generator=generator) for _ in range(rounds_of_picks)]
    centres = vectors[torch.cat(picks)[:count]].clone()
    for _ in range(rounds):
        nearest = torch.cdist(vectors, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        counts = torch.bincount(nearest, minlength=count).unsqueeze(1)
        random = vectors[torch.randint(len(vectors), (count,), generator=generator)]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), random)
    return centres


class VectorQuantizer(nn.Module):
    """Moves the codes of a codebook to the means of the latents they stand for.

    Args:
        codebook: whose embedding is moved in place; its gradient is switched off.
        decay: of the moving averages.
        revive_below: a code used less than this often a step (on average) is put on a latent of
            the current batch.
    """

    counts: Tensor
    sums: Tensor
    started: Tensor
    """Whether the codes have been placed on the data; `has_started` says it without a GPU."""

    def __init__(self, codebook: Codebook, decay: float = 0.99, revive_below: float = 0.3) -> None:
        super().__init__()
        self.decay, self.revive_below = decay, revive_below
        weight = codebook.embedding.weight.requires_grad_(False)
        self.codebook = [codebook]  # in a list, or its weight would be in two state dicts
        self.register_buffer("counts", torch.ones(len(weight)))
        self.register_buffer("sums", weight.detach().clone())
        self.register_buffer("started", torch.tensor(False))
        self.has_started = False
        self.register_load_state_dict_post_hook(_look)

    @property
    def weight(self) -> Tensor:
        """(K, C) the codes."""
        return self.codebook[0].embedding.weight

    def keep_codes(self) -> None:
        """Take the codes as they are for placed."""
        self.started.fill_(True)
        self.has_started = True

    @torch.no_grad()
    def start_from(self, latents: Tensor, seed: int = 0) -> None:
        """Place the codes by k-means on (B, C, h, w) latents."""
        vectors = _as_vectors(latents)
        generator = torch.Generator().manual_seed(seed)
        self.weight.copy_(kmeans(vectors, len(self.weight), 10, generator))
        self.sums.copy_(self.weight)
        self.counts.fill_(1.0)
        self.keep_codes()

    @torch.no_grad()
    def update(self, latents: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """One step of the moving averages with (B, C, h, w) latents and their (B, h*w) codes."""
        vectors, codes = _as_vectors(latents), codes.flatten()
        counts = torch.zeros_like(self.counts).index_add_(0, codes, torch.ones_like(vectors[:, 0]))
        sums = torch.zeros_like(self.sums).index_add_(0, codes, vectors)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        # One for each code, needed or not: to ask which are dead would make a GPU wait.
        places = torch.randint(
            len(vectors), self.counts.shape, generator=generator, device=vectors.device
        )
        dead = self.counts < self.revive_below
        self.sums.copy_(torch.where(dead[:, None], vectors[places], self.sums))
        self.counts.masked_fill_(dead, 1.0)
        self.weight.copy_(self.sums / self.counts.unsqueeze(1))


def _look(quantizer: VectorQuantizer, _: object) -> None:
    """Ask the device whether the codes of a checkpoint were placed: once, not at every step."""
    quantizer.has_started = bool(quantizer.started)


def _as_vectors(latents: Tensor) -> Tensor:
    """(B, C, h, w) -> (B * h * w, C) float32."""
    return latents.detach().float().permute(0, 2, 3, 1).flatten(0, 2)
