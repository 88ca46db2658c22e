"""Restore each face with what is known of the person it shows."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import SettingError
from ..images import from_network
from ..metrics import IdentityNetwork
from ..models.restorer import Restorer
from ..networks import CodeFormer, Fidelity, fidelity_per_face
from .adapters import Adapter
from .around import AroundCodeFormer
from .matching import DEFAULT_SURENESS, known_faces
from .references import Person


class PeopleRestorer(AroundCodeFormer):
    """A CodeFormer, and copies of it that each know one person.

    Args:
        base: restores everybody who is none of them.
        networks: know one person each.
        descriptors: (K, 128) of the photos of each.
        sureness: how sure it must be that a face is one of them.
    """

    def __init__(
        self,
        base: CodeFormer,
        networks: Sequence[CodeFormer],
        descriptors: Sequence[Tensor],
        sureness: float = DEFAULT_SURENESS,
    ) -> None:
        super().__init__(base)
        self.networks = nn.ModuleList(networks)
        self.people = tuple(Person(each.new_zeros(0, 1, 1, 3), each) for each in descriptors)
        self.identity, self.sureness = IdentityNetwork(), sureness

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None) -> Tensor:
        """Restore aligned faces, each with the network that knows its person.

        Args:
            crops: (N, 3, S, S) RGB in -1..1.
            fidelity: as of a `CodeFormer`.
            adain: the same.

        Raises:
            SettingError: as of a `CodeFormer`.
        """
        weights = fidelity_per_face(fidelity, len(crops))
        result = torch.empty_like(crops)
        who = self.whose(crops)
        for number in sorted(set(who)):
            places = [place for place, each in enumerate(who) if each == number]
            network = self.networks[number - 1] if number else self.base
            result[places] = network(crops[places], weights[places], adain)
        return result

    def whose(self, crops: Tensor) -> tuple[int, ...]:
        """For each of (N, 3, S, S) crops the number of its person, from 1; 0 if it is none."""
        self.identity.to(crops.device)  # a host may have left it elsewhere
        descriptors = self.identity.embed(from_network(crops)).cpu()
        return known_faces(descriptors, self.people, self.sureness)


def with_person(
    model: Restorer,
    adapter: Adapter,
    strength: float = 1.0,
    *,
    by_likeness: bool = False,
    sureness: float = DEFAULT_SURENESS,
) -> Restorer:
    """A model that knows one person more.

    Args:
        model: a CodeFormer, or one to which people were added.
        adapter: what it shall know.
        strength: 0 to 1.
        by_likeness: only faces that look like the person get it; else all faces do.
        sureness: how sure that must be, 0 to 1; the last one counts for all people.

    Returns:
        A new model; the given one stays as it is.

    Raises:
        CheckpointError: the adapter was made for another model.
        SettingError: the model is no CodeFormer, or a strength that is not finite.
    """
    known = model if isinstance(model, PeopleRestorer) else None
    base = known.base if known else model
    if not isinstance(base, CodeFormer):
        raise SettingError(f"{adapter.name} is for a CodeFormer, and this model is none")
    personal = adapter.apply(base, strength)
    if not by_likeness:
        if known:
            raise SettingError(
                f"{adapter.name} would be applied to the faces of the people before it too: "
                "apply each by likeness"
            )
        return personal
    networks = [*(known.networks if known else ()), personal]
    descriptors = [*(each.descriptors for each in known.people)] if known else []
    return PeopleRestorer(base, networks, [*descriptors, adapter.descriptors], sureness)  # pyright: ignore
