"""What all stages have in common, and how one is made of its settings."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from ..networks import PatchDiscriminator
from .config import RunConfig
from .data import Batch
from .losses import adaptive_weight, generator_loss


@dataclass(frozen=True)
class StepResult:
    """What one step produced."""

    loss: Tensor
    """The scalar to minimise."""
    logged: dict[str, Tensor]
    """Single losses, by the paper's names."""
    pictures: Tensor
    """(B, 3, S, S) restored pictures in -1..1, for the discriminator and the sample grid."""
    adversarial: bool
    """Whether the discriminator takes a step as well."""


class Stage(nn.Module):
    """One stage of training: holds the network and says what to minimise."""

    network: nn.Module
    """What is trained and saved."""
    discriminator: PatchDiscriminator

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, batch: Batch, step: int) -> StepResult:
        """Losses of a batch at a step."""

    def after_step(self, step: int) -> None:
        """What follows the optimiser's step; nothing by default."""

    def adversarial_term(
        self, pictures: Tensor, reconstruction: Tensor, last_layer: nn.Parameter, step: int
    ) -> Tensor:
        """lambda_adv times the adaptive weight times L_adv; zero before its first step."""
        if step < self.config.adversarial_after:
            return reconstruction.new_zeros(())
        loss = generator_loss(self.discriminator(pictures))
        weight = adaptive_weight(reconstruction, loss, last_layer)
        return self.config.losses.adversarial * weight * loss


def make_stage(config: RunConfig) -> Stage:
    """The stage a config describes, its networks built and started from what it names.

    Raises:
        SettingError: a stage other than 1, 2 or 3, or weights that are missing or do not fit.
    """
    from ..errors import SettingError
    from .stage_one import CodebookStage
    from .stage_three import FusionStage
    from .stage_two import CodePredictionStage

    kinds = {1: CodebookStage, 2: CodePredictionStage, 3: FusionStage}
    if config.stage not in kinds:
        raise SettingError(f"stage must be 1, 2 or 3, got {config.stage}")
    return kinds[config.stage](config)
