"""The losses of the three stages, named as in the paper."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def code_feature_loss(latents: Tensor, quantized: Tensor) -> Tensor:
    """|Z - sg(Z_c)|^2: pull latents to their codes; the codes themselves do not move.

    With weight beta this is the commitment term of stage I (eq. 2), and stage II's L_code_feat'.

    Args:
        latents: (B, C, h, w).
        quantized: (B, C, h, w) features of the codes.
    """
    return F.mse_loss(latents, quantized.detach())


def straight_through(latents: Tensor, quantized: Tensor) -> Tensor:
    """`quantized` going forward, the identity on `latents` for gradients."""
    return latents + (quantized - latents).detach()


def code_token_loss(logits: Tensor, codes: Tensor) -> Tensor:
    """L_code_token = - sum_i s_i log(s_hat_i), the cross-entropy of the codes (eq. 4), averaged.

    Args:
        logits: (B, T, K).
        codes: (B, T) codes of the clean face through stage I.
    """
    return F.cross_entropy(logits.flatten(0, 1).float(), codes.flatten())


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Hinge loss of the discriminator's logits for real and for generated pictures."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + generated).mean())


def generator_loss(generated: Tensor) -> Tensor:
    """L_adv of the generator: raise the discriminator's logits."""
    return -generated.mean()


def adaptive_weight(
    reconstruction: Tensor,
    adversarial: Tensor,
    last_layer: nn.Parameter,
    mean: Callable[[Tensor], Tensor] = lambda gradient: gradient,
    limit: float = 1e4,
) -> Tensor:
    """How much L_adv may count: |grad L_rec| / |grad L_adv| at the generator's last layer.

    Keeps the adversarial term as strong as the reconstruction term whatever their scales
    (Esser et al. 2021, eq. 7).

    Args:
        reconstruction: L_1 + L_per, a scalar.
        adversarial: L_adv, a scalar.
        last_layer: weights that both reach.
        mean: averages a gradient over the processes that share a batch.
        limit: the weight is never larger.
    """
    wanted, got = (
        mean(torch.autograd.grad(loss, last_layer, retain_graph=True)[0]).norm()
        for loss in (reconstruction, adversarial)
    )
    return (wanted / (got + 1e-4)).clamp(0, limit).detach()
