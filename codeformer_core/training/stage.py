"""What all stages have in common."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from ..checkpoints import save_network
from ..checkpoints.reader import Metadata
from ..errors import CheckpointError
from ..networks import VQGAN, CodeFormer
from ..networks.references import ReferenceConditioning
from .config import RunConfig
from .data import Batch
from .image_losses import ImageLosses
from .losses import adaptive_weight, generator_loss
from .process_group import ProcessGroup

Score = Callable[[Tensor], Tensor]
"""A discriminator: (B, 3, S, S) pictures to logits."""


@dataclass(frozen=True)
class Adversary:
    """Whom the pictures have to fool."""

    score: Score
    """The discriminator, held still."""
    strength: float = 1.0
    """How much of the weight of L_adv counts, 0 to 1."""


@dataclass(frozen=True)
class StepResult:
    """What one micro-batch produced."""

    loss: Tensor
    """The scalar to minimise."""
    logged: dict[str, Tensor]
    """Single losses, by the paper's names."""
    pictures: Tensor | None
    """(B, 3, S, S) restored pictures in -1..1, for the discriminator; None if there are none."""
    codes: Tensor | None = None
    """(B, T) codes the pictures were made from."""


Network = TypeVar("Network", bound=VQGAN | CodeFormer | ReferenceConditioning)


class Stage(nn.Module, Generic[Network]):
    """One stage of training: holds the network and says what to minimise."""

    network: Network
    """What is trained and saved."""
    frozen: tuple[str, ...] = ("image_losses",)
    """Helpers that come from files of their own and are in no checkpoint."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config
        self.process_group = ProcessGroup()
        self.image_losses = ImageLosses(config)

    @abstractmethod
    def forward(self, batch: Batch, step: int, adversary: Adversary | None) -> StepResult:
        """Losses of a micro-batch at a step.

        Args:
            batch: on the network's device.
            step: which.
            adversary: None while there is no adversarial loss.
        """

    @abstractmethod
    def restorations(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """What a network of this stage makes of a validation batch: pictures by name."""

    def after_step(self, step: int) -> None:
        """What follows the optimiser's step; nothing by default."""

    def remember_codes(self, count: int) -> None:
        """Prepare to keep the codes of that many clean variants; nothing by default."""

    def write(self, network: Any, path: Path, metadata: Metadata) -> None:
        """Write what a network of this stage has learnt, for use.

        Raises:
            CheckpointError: the file cannot be written.
        """
        save_network(path, network, metadata)

    def state(self) -> dict[str, Tensor]:
        """All that changes while training, for a checkpoint."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.startswith(tuple(f"{helper}." for helper in self.frozen))
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave.

        Raises:
            CheckpointError: a state of another stage or of other sizes; whoever knows its file
                says what to do.
        """
        mine, other = (
            {name: each.shape for name, each in every.items()} for every in (self.state(), state)
        )
        differing = [name for name in {**mine, **other} if mine.get(name) != other.get(name)]
        if differing:
            raise CheckpointError(
                f"{len(differing)} tensors are of other sizes or of another stage, first "
                f"{differing[0]!r}"
            )
        self.load_state_dict({**self.state_dict(), **state})

    def adversarial_term(
        self,
        pictures: Tensor,
        reconstruction: Tensor,
        last_layer: nn.Parameter,
        adversary: Adversary | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """lambda_adv times L_adv, and each by name; zero and nothing before its first step.

        lambda_adv is the setting times the adaptive weight, as far as it has risen.
        """
        if adversary is None:
            return reconstruction.new_zeros(()), {}
        loss = generator_loss(adversary.score(pictures))
        weight = adaptive_weight(reconstruction, loss, last_layer, self.process_group.mean)
        weight = self.config.losses.adversarial * adversary.strength * weight
        return weight * loss, {"L_adv": loss, "lambda_adv": weight}
