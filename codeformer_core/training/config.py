"""Settings of a training run."""

from dataclasses import dataclass, field

from ..degradation import STAGE_THREE_MILD, STAGE_TWO, DegradationRange
from ..errors import SettingError
from ..networks import CodeFormerConfig
from .augmentation import Augmentation

PRECISIONS = ("bf16", "fp32")
DEVICES = ("auto", "cpu")
STAGES = (1, 2, 3)


@dataclass(frozen=True)
class LossWeights:
    """How much each loss counts; the defaults are the paper's. A weight of 0 leaves it out."""

    pixel: float = 1.0
    """L_1."""
    perceptual: float = 1.0
    """L_per."""
    commitment: float = 0.25
    """beta of eq. 2, stage I's."""
    code_feature: float = 1.0
    """Of L_code_feat', stages II and III's."""
    adversarial: float = 0.8
    """lambda_adv, times the adaptive weight."""
    code_token: float = 0.5
    """lambda_token of stage II."""

    def __post_init__(self) -> None:
        """Refuse negative weights.

        Raises:
            SettingError: a negative weight.
        """
        for name, value in vars(self).items():
            if value < 0:
                raise SettingError(f"losses: {name} is {value}: it must not be negative")


@dataclass(frozen=True)
class RunConfig:
    """One stage of training."""

    stage: int
    """1 codebook, 2 code prediction, 3 fusion."""
    data: str
    """Aligned faces: a folder of pictures, a WebDataset shard, or a folder of shards."""
    validation: str = ""
    """Aligned faces to validate on, in the same forms."""
    hold_out: float = 0.0
    """Share of `data` kept for validation where `validation` names none."""
    model: CodeFormerConfig = field(default_factory=CodeFormerConfig)
    """Sizes and variant; stage I uses the autoencoder's only."""
    autoencoder: str = ""
    """Stage I weights, which stages II and III need: generator, codebook, codes of clean faces."""
    start_from: str = ""
    """Weights to start from: of stage II for stage III, or of the same stage to go on with."""
    steps: int = 10_000
    """Optimiser steps in all."""
    batch_size: int = 16
    """Pictures of an optimiser step, over all processes and micro-batches."""
    gradient_accumulation_steps: int = 1
    """Micro-batches of an optimiser step, to fit a batch into memory."""
    learning_rate: float = 7e-5
    betas: tuple[float, float] = (0.9, 0.99)
    """Of Adam."""
    ema: float = 0.995
    """Decay of the moving average of the weights, which is what gets saved for use."""
    warm_up: int = 100
    """Steps of linear warm-up of the learning rate."""
    final_rate: float = 0.1
    """Learning rate at the last step, as a share of the first (cosine)."""
    max_grad_norm: float = 1.0
    """Largest norm of the gradients of a step."""
    quantize_after: int = 0
    """Stage I: steps without the codebook before it starts from k-means."""
    adversarial_after: int = 30_001
    """First step with the adversarial loss."""
    discriminator_channels: int = 64
    """Channels of the discriminator's first layer."""
    fidelity: float = 1.0
    """Stage III: the w at which the image losses are taken."""
    full_fidelity_share: float = 1.0
    """Stage III: share of steps at that w; the rest draw one between 0 and it.

    1 is the published recipe. A model trained briefly shows artefacts between the ends with it.
    """
    full_fidelity_perceptual: float = 1.0
    """Stage III: share of the weight of L_per that is left at w = 1, linear in w.

    1 is the published recipe. With less, high w learns what is closest and low w what looks best
    (Y. Blau, T. Michaeli, "The Perception-Distortion Tradeoff", 2018).
    """
    mild_share: float = 0.0
    """Share of mildly degraded faces; the rest is degraded as in stage II."""
    strong: DegradationRange = STAGE_TWO
    """Ranges for 512 px faces; scaled to the model's size."""
    mild: DegradationRange = STAGE_THREE_MILD
    """Ranges for 512 px faces; scaled to the model's size."""
    degrade_on_device: bool = False
    """Degrade whole batches where the network is, instead of picture by picture on the CPU."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    losses: LossWeights = field(default_factory=LossWeights)
    precision: str = "bf16"
    """bf16 (autocast) or fp32."""
    device: str = "auto"
    """auto (a GPU where there is one) or cpu."""
    workers: int = 2
    """Threads of each process that make batches."""
    memory_mb: int = 2048
    """Decoded faces kept in memory by each process, in MiB."""
    seed: int = 0
    log_every: int = 20
    """Steps between lines of the log."""
    save_every: int = 500
    """Steps between checkpoints."""
    validate_every: int = 500
    """Steps between validations and sample grids."""
    validation_faces: int = 64
    """Faces of a validation, at most."""

    def __post_init__(self) -> None:
        """Refuse settings no run can have.

        Raises:
            SettingError: which setting, and what it must be.
        """
        if self.stage not in STAGES:
            raise SettingError(f"stage must be 1, 2 or 3, got {self.stage}")
        if self.precision not in PRECISIONS or self.device not in DEVICES:
            raise SettingError(f"precision is one of {PRECISIONS}, device one of {DEVICES}")
        for name in POSITIVE:
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} is {getattr(self, name)}: it must be more than 0")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise SettingError(f"{name} is {getattr(self, name)}: it must be from 0 to 1")
        if self.batch_size % self.gradient_accumulation_steps:
            raise SettingError(
                f"a batch of {self.batch_size} cannot be split into "
                f"{self.gradient_accumulation_steps} micro-batches"
            )


RENAMED = {
    "accumulate": "gradient_accumulation_steps",
    "clip": "max_grad_norm",
}
"""Settings of older files by their present names."""
POSITIVE = (
    "steps",
    "batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "max_grad_norm",
    "discriminator_channels",
    "log_every",
    "save_every",
    "validate_every",
    "validation_faces",
)
SHARES = (
    "hold_out",
    "ema",
    "final_rate",
    "mild_share",
    "full_fidelity_share",
    "full_fidelity_perceptual",
)
