"""Restore each face as the person whom reference photos show."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ..images import from_network
from ..metrics import IdentityNetwork
from ..models.restorer import LABEL, Restorer, label_of
from ..networks import CodeFormer, FaceCodes, Fidelity
from ..networks.codeformer import Refinements
from ..networks.layers import Operations
from .around import AroundCodeFormer
from .conditioning import Conditioning, find_conditioning
from .matching import known_faces
from .references import Person

UNCONDITIONED = (
    "the references are only compared with and change nothing that is drawn: no file "
    "*_references.safetensors among the models was trained beside this one (codeformer train all "
    "references_256 makes one)"
)
"""What to say where `with_references` gave the model back."""


@dataclass(frozen=True)
class References:
    """People known from photos, and what tells who a face is."""

    people: tuple[Person, ...]
    identity: IdentityNetwork


class ReferenceRestorer(AroundCodeFormer):
    """A CodeFormer whose generator is conditioned on the descriptors of known people.

    Args:
        base: restores everybody else as it is.
        conditioning: trained beside it.
        references: the people.
        strength: 0 is the base, 1 the conditioning as it was learnt.

    Raises:
        CheckpointError: the conditioning was trained beside another model.
    """

    def __init__(
        self,
        base: CodeFormer,
        conditioning: Conditioning,
        references: References,
        strength: float = 1.0,
    ) -> None:
        super().__init__(base)
        conditioning.check(base)
        device = base.position_emb.device
        self.conditioning = conditioning.network.to(device)
        # A plain object, so that the identity network is no part of this one: it runs by itself.
        self.references = references
        means = [person.descriptors.float().mean(0) for person in references.people]
        nobody = torch.zeros_like(means[0])
        # Parameters, so that they go where the weights go and tell one restorer from another.
        self.descriptors = _constant(torch.stack([nobody, *means]), device)
        strengths = [0.0] + [strength] * len(means)
        self.strengths = _constant(torch.tensor(strengths), device)
        setattr(self, LABEL, label_of(base))

    def forward(
        self,
        crops: Tensor,
        fidelity: Fidelity = 0.5,
        adain: bool | None = None,
        whom: Sequence[int] | None = None,
    ) -> Tensor:
        """Restore aligned faces.

        Args:
            crops: (N, 3, S, S) RGB in -1..1.
            fidelity: as of a `CodeFormer`.
            adain: the same.
            whom: for each face the number of its person, from 1, or 0; None recognises them.

        Raises:
            SettingError: as of a `CodeFormer`.
        """
        whom = self.whose(crops) if whom is None else whom
        return self.decode(self.encode(crops), fidelity, adain, whom).to(crops.dtype)

    def encode(self, crops: Tensor) -> FaceCodes:
        """What `decode` needs of (N, 3, S, S) crops in -1..1, for any fidelity and anybody."""
        return self.base.encode(crops, self.conditioning.sizes)

    def decode(
        self, face_codes: FaceCodes, fidelity: Fidelity, adain: bool | None, whom: Sequence[int]
    ) -> Tensor:
        """Generate faces as the people they are; arguments as of `forward`."""
        return self.base.decode(face_codes, fidelity, adain, self._refinements(whom))

    def whose(self, crops: Tensor) -> tuple[int, ...]:
        """For each of (N, 3, S, S) crops the number of the person it surely is, from 1, or 0."""
        identity = self.references.identity
        descriptors = identity.embed(from_network(crops).to(identity.network.descriptor.weight))
        return known_faces(descriptors.cpu(), self.references.people)

    def _refinements(self, whom: Sequence[int]) -> Refinements:
        if not any(whom):
            return {}
        rows = torch.tensor(whom, device=self.descriptors.device)
        descriptors, strengths = self.descriptors[rows], self.strengths[rows, None, None, None]

        def scaled(side: int, encoded: Tensor, decoded: Tensor) -> Tensor:
            # In float32, which these small maps hardly notice, whatever the base computes in.
            features = decoded.float()
            known = descriptors.to(features.device)
            refined = self.conditioning.refine(side, encoded.float(), features, known)
            share = strengths.to(features.device)
            return torch.lerp(features, refined, share).to(decoded.dtype)

        return {side: partial(scaled, side) for side in self.conditioning.sizes}


def _constant(values: Tensor, device: torch.device) -> nn.Parameter:
    return nn.Parameter(values.to(device), requires_grad=False)


def with_references(
    model: Restorer,
    references: References,
    strength: float = 1.0,
    *,
    folders: Sequence[Path] = (),
    operations: Operations = nn,
) -> Restorer:
    """A model that draws the people of references, where there is a conditioning for it.

    Args:
        model: any restorer.
        references: who is known.
        strength: 0 leaves the model as it is, 1 is as learnt.
        folders: where conditionings are looked for beside the package's own.
        operations: where layer classes come from, as when the model was built.

    Returns:
        A `ReferenceRestorer`, or the very model.

    Raises:
        CheckpointError: a conditioning's file is damaged.
    """
    if not (isinstance(model, CodeFormer) and references.people and strength):
        return model
    found = find_conditioning(model, folders, operations)
    if found is None:
        return model
    return ReferenceRestorer(model, found, references, strength)
