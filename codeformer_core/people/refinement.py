"""What reference photos change in a generator's features, face by face."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ..networks.codeformer import Refinements
from ..networks.references import ReferenceConditioning
from .references import Person


class ReferenceRefinement(nn.Module):
    """A conditioning, and the descriptors of the people whom it draws.

    Args:
        conditioning: as it was learnt.
        people: known from reference photos, at least one.
        strength: 0 changes nothing, 1 is as learnt.
    """

    def __init__(
        self, conditioning: ReferenceConditioning, people: Sequence[Person], strength: float
    ) -> None:
        super().__init__()
        self.conditioning = conditioning
        means = [person.descriptors.float().mean(0) for person in people]
        nobody = torch.zeros_like(means[0])
        # Parameters, so that they go where the weights go and tell one restorer from another.
        self.descriptors = _constant(torch.stack([nobody, *means]))
        self.strengths = _constant(torch.tensor([0.0] + [strength] * len(means)))

    def of(self, numbers: Tensor) -> Refinements:
        """What a generator is to do with faces of (B,) people, numbered from 1; 0 is nobody."""
        if not bool(numbers.any()):
            return {}
        rows = numbers.to(self.descriptors.device)
        descriptors, strengths = self.descriptors[rows], self.strengths[rows, None, None, None]

        def scaled(side: int, encoded: Tensor, decoded: Tensor) -> Tensor:
            # In its own numbers, float32 as a rule, whatever the base computes in: these maps are
            # small.
            known = descriptors.to(decoded.device)
            features = decoded.to(known)
            refined = self.conditioning.refine(side, encoded.to(known), features, known)
            return torch.lerp(features, refined, strengths.to(known)).to(decoded.dtype)

        return {side: partial(scaled, side) for side in self.conditioning.sizes}


def _constant(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
