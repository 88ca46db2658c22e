"""A fidelity for every face by itself: one encode, several decodes, and a look at the results.

There is no truth to compare a restoration with, but the input still shows the person. What a lower
fidelity does to the likeness can be seen; that a higher one follows the damage cannot, and is known
from training faces on average. Both together estimate the cost of each fidelity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..images import from_network
from ..metrics import IdentityNetwork
from ..models.restorer import Restorer
from ..networks import CodeFormer, Fidelity, fidelity_per_face
from ..people import Person, describe_crops
from ..people.matching import known_faces
from ..people.restorer import Told
from ..runtime import Runtime

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""The fidelities that are tried."""
OF_LIKENESS, OF_SHORTFALL, OF_DAMAGE, OF_ITS_SQUARE = 0.0512, -0.0287, 0.0138, 0.0395
"""Weights of `cost_terms` for the mean of perceptual and identity distance to the truth, by least
squares on 100 training faces, degraded strongly and mildly. For another model:
`benchmarks/fidelity.py --fit`."""

Decode = Callable[[float], Tensor]
"""Faces of one fidelity: (n, 3, S, S) about -1..1."""


@dataclass(frozen=True)
class Generated:
    """What a network made of some faces."""

    pictures: Tensor
    """(n, 3, S, S) about -1..1."""
    fidelity: tuple[float, ...] = ()
    """Of each, where it was chosen by itself; else empty."""


@dataclass(frozen=True)
class Automatic:
    """Chooses the fidelity of every face."""

    identity: IdentityNetwork
    """Tells whether a face is still the same person."""
    people: Sequence[Person] = ()
    """Known from reference photos: a face that is one of them is compared with those, not with the
    input."""

    def choose(self, inputs: Tensor, decode: Decode, runtime: Runtime) -> Generated:
        """Generate faces at the fidelity that suits each.

        Args:
            inputs: (n, S, S, 3) in 0..1, at the network's size.
            decode: makes them.
            runtime: where the identity network runs.

        Raises:
            OutOfMemoryError: there is no room even for one face.
        """
        pictures = torch.stack([decode(fidelity) for fidelity in LADDER])  # (L, n, 3, S, S)
        steps = best_steps(self.distances(inputs, pictures, runtime)).to(pictures.device)
        faces = torch.arange(len(inputs), device=pictures.device)
        chosen = tuple(LADDER[step] for step in steps.tolist())
        return Generated(pictures[steps, faces], chosen)

    def distances(self, inputs: Tensor, pictures: Tensor, runtime: Runtime) -> Tensor:
        """How far faces are from the person, by descriptor.

        Args:
            inputs: (n, H, H, 3) in 0..1.
            pictures: (L, n, 3, S, S) about -1..1, decoded at every fidelity.
            runtime: where the identity network runs.

        Returns:
            (n, L) on the CPU; infinite where a picture is not finite.
        """
        silent = runtime.silent()
        before = describe_crops(inputs, self.identity, runtime=silent)
        after = describe_crops(
            from_network(pictures.flatten(0, 1)), self.identity, runtime=silent
        ).unflatten(0, pictures.shape[:2])
        distances = (after - before).norm(dim=2).T
        for place, person in enumerate(self._who(before)):
            if person is not None:
                distances[place] = person.distances(after[:, place])
        broken = ~pictures.isfinite().flatten(2).all(2)
        return distances.masked_fill(broken.T.cpu(), torch.inf)

    def _who(self, descriptors: Tensor) -> list[Person | None]:
        """The known person that each face surely is."""
        if not self.people:
            return []
        whom = known_faces(descriptors, self.people)
        return [self.people[number - 1] if number else None for number in whom]


FidelityChoice = Fidelity | Automatic
"""One number, one a face, or what chooses."""
PerFace = Tensor | Automatic
"""(N,) one for each face, or what chooses."""


def per_face(fidelity: FidelityChoice, count: int) -> PerFace:
    """Fidelities as `fidelity_per_face` gives them, where they are not chosen later.

    Raises:
        SettingError: neither one value nor one a face, or a value outside 0..1.
    """
    return fidelity if isinstance(fidelity, Automatic) else fidelity_per_face(fidelity, count)


def decoder(network: Restorer | Told, faces: Tensor, adain: bool | None) -> Decode:
    """What restores faces at any fidelity, encoding them only once if it can.

    Args:
        network: restores them.
        faces: (n, 3, S, S) in -1..1.
        adain: match colours in the network; None takes its own setting.
    """
    if not isinstance(network, CodeFormer | Told):
        return lambda fidelity: network(faces, fidelity, adain)
    codes = network.encode(faces)
    return lambda fidelity: network.decode(codes, fidelity, adain).to(faces.dtype)


def best_steps(distances: Tensor) -> Tensor:
    """Which of the tried fidelities costs each face least.

    Args:
        distances: (n, L) to the person, by descriptor.

    Returns:
        (n,) places in `LADDER`; of equal ones the smallest fidelity.
    """
    constants = torch.tensor([OF_LIKENESS, OF_SHORTFALL, OF_DAMAGE, OF_ITS_SQUARE])
    return (cost_terms(distances) * constants).sum(2).argmin(1)


def cost_terms(distances: Tensor) -> Tensor:
    """What the cost of a fidelity w is estimated from.

    The distance d(w) to the person; 1 - w, by which what is drawn falls short of the input; the
    same times d(1), because the farther even the most faithful restoration had to go, the more is
    damaged, and the less must be invented on top; and the square of 1 - w.

    Args:
        distances: (n, L) to the person, by descriptor.

    Returns:
        (n, L, 4).
    """
    shortfall = (1 - torch.tensor(LADDER)).to(distances).expand_as(distances)
    last = distances[:, -1:]
    damage = torch.where(last.isfinite(), last, torch.zeros_like(last))
    return torch.stack((distances, shortfall, damage * shortfall, shortfall**2), dim=2)
