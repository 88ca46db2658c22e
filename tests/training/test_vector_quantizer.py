"""The codebook starts on the data, follows it, and loses no code."""

import torch

from codeformer_core.metrics import codebook_usage
from codeformer_core.networks import VQGANConfig
from codeformer_core.networks.vqgan import Codebook
from codeformer_core.training.vector_quantizer import VectorQuantizer, kmeans

CLUSTERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def cluster_points() -> torch.Tensor:
    """300 points around three centres."""
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(300, 2, generator=generator)
    return CLUSTERS.repeat(100, 1) + noise


def test_kmeans_finds_separate_clusters() -> None:
    centres = kmeans(cluster_points(), 12, 10, torch.Generator().manual_seed(1))
    assert torch.cdist(CLUSTERS, centres).min(1).values.max() < 0.2


def test_kmeans_starts_from_fewer_vectors_than_centres() -> None:
    centres = kmeans(CLUSTERS, 8, 3, torch.Generator().manual_seed(0))
    assert centres.shape == (8, 2)
    assert torch.cdist(CLUSTERS, centres).min(1).values.max() == 0


def latents_of(points: torch.Tensor) -> torch.Tensor:
    """(N, C) points as a (1, C, N, 1) latent map."""
    return points.T[None, :, :, None]


def moving_codebook(codes: int) -> tuple[Codebook, VectorQuantizer]:
    torch.manual_seed(0)
    config = VQGANConfig(64, 32, (1,), 1, (), codebook_size=codes, code_channels=2)
    codebook = Codebook(config)
    return codebook, VectorQuantizer(codebook, decay=0.5)


def test_codes_move_to_the_means_of_their_latents() -> None:
    codebook, moving = moving_codebook(3)
    with torch.no_grad():
        codebook.embedding.weight.copy_(CLUSTERS + 2.0)
    moving.sums.copy_(codebook.embedding.weight)
    latents = latents_of(cluster_points())
    for _ in range(30):
        moving.update(latents, codebook.nearest(latents), torch.Generator().manual_seed(0))
    assert torch.allclose(codebook.embedding.weight, CLUSTERS, atol=0.05)
    assert not codebook.embedding.weight.requires_grad


def test_dead_codes_are_put_back_on_the_data() -> None:
    codebook, moving = moving_codebook(3)
    with torch.no_grad():
        codebook.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [500.0, 0.0], [0.0, 500.0]]))
    moving.sums.copy_(codebook.embedding.weight)
    latents = latents_of(cluster_points())
    for step in range(10):
        moving.update(latents, codebook.nearest(latents), torch.Generator().manual_seed(step))
    assert codebook_usage(codebook.nearest(latents), 3)[0] == 1.0
