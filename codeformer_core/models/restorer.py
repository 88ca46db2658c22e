"""What everything that restores aligned faces offers, whoever made it."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, nn

from ..networks import Fidelity


class Restorer(Protocol):
    """An `nn.Module` that restores aligned faces: a CodeFormer, or another network called like it.

    Call it through a `Runtime`, which knows how many faces fit into memory at once.
    """

    @property
    def size(self) -> int:
        """Side of its crops in pixels."""
        ...

    @property
    def variant(self) -> str:
        """What it was trained for: restoration, inpainting or colorization."""
        ...

    @property
    def bytes_per_face(self) -> float:
        """Memory that the activations of one face take at their peak, estimated."""
        ...

    @property
    def notice(self) -> str | None:
        """What its user should know, in the user's words; None if there is nothing."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Its weights; every `nn.Module` has them."""
        ...

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None, /
    ) -> Tensor:
        """Restore faces.

        Args:
            crops: (N, 3, S, S) RGB in -1..1, S = `size`, on the device of the weights.
            fidelity: 0 (quality) to 1 (identity), one number or one a face; without effect on
                networks that cannot be told.
            adain: match the statistics of the features; None takes the network's own setting.

        Returns:
            (N, 3, S, S), about -1..1.
        """
        ...


LABEL = "codeformer_label"
"""Attribute of a loaded restorer with the name of its file."""


def label_of(restorer: Restorer) -> str:
    """What to call a restorer before a person: the name of its file, or its kind."""
    return getattr(restorer, LABEL, type(restorer).__name__)


def takes_fidelity(restorer: Restorer) -> bool:
    """Whether fidelity has an effect on a restorer."""
    return getattr(restorer, "takes_fidelity", True)


def settings_of(restorer: Restorer) -> object:
    """What changes a restorer's results and is in none of its weights; None if nothing does."""
    return getattr(restorer, "settings", getattr(restorer, "config", None))
