"""Gradients flow where the paper says, and nowhere else."""

import torch
from torch import nn

from codeformer_core.training.losses import (
    adaptive_weight,
    code_feature_loss,
    code_token_loss,
    discriminator_loss,
    generator_loss,
    straight_through,
)


def test_straight_through_passes_gradients_past_the_codes() -> None:
    latents = torch.randn(1, 4, 2, 2, requires_grad=True)
    codes = torch.randn(1, 4, 2, 2, requires_grad=True)
    result = straight_through(latents, codes)
    assert torch.allclose(result, codes)
    result.backward(weight := torch.randn_like(result))
    assert latents.grad is not None
    assert torch.equal(latents.grad, weight)
    assert codes.grad is None


def test_code_feature_loss_moves_latents_only() -> None:
    latents = torch.zeros(1, 2, 1, 1, requires_grad=True)
    codes = torch.ones(1, 2, 1, 1, requires_grad=True)
    loss = code_feature_loss(latents, codes)
    loss.backward()
    assert loss == 1
    assert latents.grad is not None
    assert (latents.grad < 0).all()
    assert codes.grad is None


def test_code_token_loss_is_the_cross_entropy_of_the_right_codes() -> None:
    logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]]))
    codes = torch.tensor([[0, 2]])
    expected = -(torch.log(torch.tensor(0.7)) + torch.log(torch.tensor(0.8))) / 2
    assert torch.allclose(code_token_loss(logits, codes), expected)


def test_adaptive_weight_balances_the_gradients() -> None:
    layer = nn.Parameter(torch.tensor([1.0, 2.0]))
    reconstruction, adversarial = (6 * layer).sum(), (0.5 * layer).sum()
    weight = adaptive_weight(reconstruction, adversarial, layer)
    balanced = torch.autograd.grad(weight * adversarial, layer)[0].norm()
    wanted = torch.autograd.grad(reconstruction, layer)[0].norm()
    assert not weight.requires_grad
    assert torch.allclose(balanced, wanted, rtol=1e-3)


def test_hinge_losses_pull_apart_and_fool() -> None:
    real, generated = torch.tensor([2.0]), torch.tensor([-2.0])
    assert discriminator_loss(real, generated) == 0
    assert discriminator_loss(generated, real) == 3
    assert generator_loss(real) < generator_loss(generated)
