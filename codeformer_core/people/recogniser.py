"""As whom faces are restored: who has a personal adapter, and who is on reference photos."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ..images import from_network
from ..metrics import IdentityNetwork
from .matching import DEFAULT_SURENESS, known_faces
from .references import Person


class Whom(NamedTuple):
    """As whom a face is restored; numbers begin at 1, and 0 is nobody."""

    adapter: int = 0
    """The person whose adapter restores it."""
    reference: int = 0
    """The person on reference photos as whom it is drawn."""


@dataclass(frozen=True)
class Recogniser:
    """Tells by likeness whom faces show."""

    identity: IdentityNetwork
    """Describes them."""
    adapted: tuple[Person, ...] = ()
    """Those who have an adapter."""
    sureness: float = DEFAULT_SURENESS
    """How sure it must be that a face is one of these."""
    referred: tuple[Person, ...] = ()
    """Those on reference photos."""

    def recognise(self, descriptors: Tensor) -> tuple[Whom, ...]:
        """Whom faces of (N, 128) descriptors surely show.

        An adapter knows more of its person than reference photos, which would only take from it.
        """
        adapters = known_faces(descriptors, self.adapted, self.sureness)
        references = known_faces(descriptors, self.referred)
        return tuple(
            Whom(adapter, 0 if adapter else reference)
            for adapter, reference in zip(adapters, references, strict=True)
        )

    def recognise_crops(self, crops: Tensor) -> tuple[Whom, ...]:
        """The same of (N, 3, S, S) aligned crops in -1..1."""
        pictures = from_network(crops).to(self.identity.network.descriptor.weight)
        return self.recognise(self.identity.embed(pictures).cpu())
