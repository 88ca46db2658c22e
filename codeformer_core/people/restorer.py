"""Restore each face with what is known of the person it shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..models.restorer import LABEL, Restorer, label_of
from ..networks import CodeFormer, CodeFormerConfig, FaceCodes, Fidelity, fidelity_per_face
from ..networks.codeformer import Refinements
from .recogniser import Recogniser, Whom
from .refinement import ReferenceRefinement

Places = slice | list[int]
"""Some of the faces of a batch."""


class PeopleRestorer(nn.Module):
    """A CodeFormer that knows people from personal adapters, from reference photos, or from both.

    A face of somebody who has an adapter is restored by the network that knows that person, every
    other one by the base, which draws whom reference photos show. Nobody known: the very base.

    Args:
        base: the CodeFormer.
        recogniser: tells by likeness whom faces show.
        networks: copies of the base that know one person each, in the recogniser's order.
        refinement: draws the recogniser's people on reference photos, if there are any.
    """

    notice: str | None = None
    """What its user should know; nothing."""

    def __init__(
        self,
        base: CodeFormer,
        recogniser: Recogniser,
        networks: Iterable[nn.Module] = (),
        refinement: ReferenceRefinement | None = None,
    ) -> None:
        super().__init__()
        self.base = base
        self.networks = nn.ModuleList(networks)
        self.refinement = refinement
        # A plain object, so that the identity network is no part of this one: it runs by itself.
        self.recogniser = recogniser
        setattr(self, LABEL, label_of(base))

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.base.size

    @property
    def variant(self) -> str:
        """What the weights were trained for."""
        return self.base.variant

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What is moved by itself: the base is shared, and outlives this network."""
        return (self.base, *self.networks, *([self.refinement] if self.refinement else []))

    @property
    def settings(self) -> tuple[CodeFormerConfig, float]:
        """What changes its results and is in none of its weights."""
        return self.base.config, self.recogniser.sureness

    @property
    def bytes_per_face(self) -> float:
        """Memory that the activations of one face take at their peak."""
        return self.base.bytes_per_face

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None) -> Tensor:
        """Restore aligned faces as whom they surely look like; see `Told` to say who they are.

        Args:
            crops: (N, 3, S, S) RGB in -1..1.
            fidelity: as of a `CodeFormer`.
            adain: the same.

        Raises:
            SettingError: as of a `CodeFormer`.
        """
        return Told(self, self.recogniser.recognise_crops(crops))(crops, fidelity, adain)


@dataclass(frozen=True)
class Told:
    """A `PeopleRestorer` that was told whom a batch of faces shows; used as a CodeFormer is."""

    restorer: PeopleRestorer
    whom: Sequence[Whom]
    """One a face."""

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Restore these faces; see `CodeFormer.forward`."""
        return self.decode(self.encode(crops), fidelity, adain).to(crops.dtype)

    def encode(self, crops: Tensor) -> FaceCodes:
        """Predict the codes of these faces; see `CodeFormer.encode`."""
        groups, order = _by_adapter(self.whom)
        parts = [self._network(n).encode(crops[places]) for n, places in groups.items()]
        return FaceCodes.join(parts).take(order)

    def decode(
        self, face_codes: FaceCodes, fidelity: Fidelity = 0.5, adain: bool | None = None
    ) -> Tensor:
        """Generate these faces; see `CodeFormer.decode`."""
        groups, order = _by_adapter(self.whom)
        weights = fidelity_per_face(fidelity, len(self.whom))
        parts = [
            self._network(n).decode(
                face_codes.take(places), weights[places], adain, self._refinements(places)
            )
            for n, places in groups.items()
        ]
        return torch.cat(parts)[order]

    def _network(self, number: int) -> CodeFormer:
        """That of an adapter's person, or the base for 0."""
        known = self.restorer
        return known.networks[number - 1] if number else known.base  # pyright: ignore

    def _refinements(self, places: Places) -> Refinements:
        """What is drawn of the people on reference photos."""
        refinement = self.restorer.refinement
        numbers = torch.tensor([each.reference for each in self.whom])
        return refinement.of(numbers[places]) if refinement else {}


def base_of(network: CodeFormer | PeopleRestorer) -> CodeFormer:
    """What restores people whom a network does not know."""
    return network.base if isinstance(network, PeopleRestorer) else network


def told(network: Restorer, whom: Sequence[Whom]) -> Restorer | Told:
    """What restores a batch of faces that show these people; empty where nobody is known."""
    return Told(network, whom) if isinstance(network, PeopleRestorer) and whom else network


def _by_adapter(whom: Sequence[Whom]) -> tuple[dict[int, Places], Places]:
    """Places of each adapter's faces, those of all others under 0; and how they join again."""
    numbers = [each.adapter for each in whom]
    if len(set(numbers)) < 2:
        return {next(iter(numbers), 0): slice(None)}, slice(None)
    groups = {n: [i for i, each in enumerate(numbers) if each == n] for n in sorted(set(numbers))}
    joined = torch.tensor([place for places in groups.values() for place in places])
    return dict(groups), joined.argsort().tolist()
