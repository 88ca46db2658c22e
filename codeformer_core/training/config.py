"""Settings of a training run."""

from dataclasses import dataclass, field

from ..degradation import STAGE_THREE_MILD, STAGE_TWO, DegradationRange
from ..errors import SettingError
from ..networks import CodeFormerConfig
from .albums import ReferenceSettings
from .augmentation import Augmentation


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
    components: float = 0.0
    """Of L_1, L_per and the colours once more on the crops of eyes and mouth (stages I and III)."""
    colour: float = 0.0
    """Of the distance of low-passed Lab colours (stages I and III)."""
    iris: float = 0.0
    """Of the distance of the irises' Lab colours (stages I and III)."""
    identity: float = 0.0
    """Of the squared distance of dlib's descriptors (stages I and III)."""

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
    train_codes: bool = True
    """Stage I: whether encoder and codebook learn. Without, a generator that is not sharp yet goes
    on alone, and the codes keep their meaning for a transformer that predicts them."""
    quantize_after: int = 0
    """Stage I: steps without the codebook before it starts from k-means."""
    adversarial_after: int = 30_001
    """First step with the adversarial loss."""
    adversarial_share: float = 0.6
    """Share of its time after which a run that has been given a time has it."""
    adversarial_rise: float = 0.0
    """Share of the run over which the weight of the adversarial loss grows from 0 to all of it.

    0 is the published recipe: all of it at once.
    """
    discriminator_lead: float = 0.0
    """Share of the run before the adversarial loss in which the discriminator learns alone."""
    discriminator_channels: int = 64
    """Channels of the discriminator's first layer."""
    fidelity: float = 1.0
    """Stage III: the w at which the image losses are taken."""
    full_fidelity_share: float = 1.0
    """Stage III: share of faces at that w; the others draw one between 0 and it.

    1 is the published recipe. A model trained briefly shows artefacts between the ends with it.
    """
    full_fidelity_perceptual: float = 1.0
    """Stage III: share of the weight of L_per that is left at w = 1, linear in w.

    1 is the published recipe. With less, high w learns what is closest and low w what looks best
    (Y. Blau, T. Michaeli, "The Perception-Distortion Tradeoff", 2018).
    """
    train_transformer: bool = True
    """Stage III: a variant for another damage may share the transformer of the model it is made
    from, as it shares codebook and generator; then encoder and fusion alone are its own."""
    train_generator: bool = False
    """Stage III: whether the generator goes on learning, from then on apart from stage I's.

    As published it does not."""
    mild_share: float = 0.0
    """Share of mildly degraded faces; the rest is degraded as in stage II."""
    clean_share: float = 0.0
    """Share of faces that are not degraded at all, so that a clean face comes back clean."""
    strong: DegradationRange = STAGE_TWO
    """Ranges for 512 px faces; scaled to the model's size."""
    mild: DegradationRange = STAGE_THREE_MILD
    """Ranges for 512 px faces; scaled to the model's size."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    losses: LossWeights = field(default_factory=LossWeights)
    references: ReferenceSettings = field(default_factory=ReferenceSettings)
    """Stage III: train the conditioning on reference photos instead of the CodeFormer."""
    precision: str = "bf16"
    """bf16 (autocast) or fp32."""
    device: str = "auto"
    """auto (a GPU where there is one) or cpu."""
    compile: bool = False
    """Compile the residual blocks: a minute at the start, faster steps on a GPU."""
    time_share: float = 1.0
    """Of a recipe's minutes, in proportion to the other stages'; with 0 it leaves the stage out."""
    backbones: str = ""
    """Folder with the weights of the loss networks; those of installed packages if left out."""
    workers: int = 2
    """Threads of each process that decode faces."""
    memory_mb: int = 2048
    """Decoded faces kept on the device by each process, in MiB; more are decoded every time."""
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
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise SettingError(
                    f"{name} is {getattr(self, name)!r}: it must be one of {choices}"
                )
        for names, is_right, what in (
            (POSITIVE, lambda value: value > 0, "more than 0"),
            (SHARES, lambda value: 0 <= value <= 1, "from 0 to 1"),
        ):
            wrong = next((name for name in names if not is_right(getattr(self, name))), None)
            if wrong:
                raise SettingError(f"{wrong} is {getattr(self, wrong)}: it must be {what}")
        if self.time_share < 0:
            raise SettingError(f"time_share is {self.time_share}: it must not be negative")
        if self.mild_share + self.clean_share > 1:
            raise SettingError("mild_share and clean_share are more than 1 together")
        if self.batch_size % self.gradient_accumulation_steps:
            raise SettingError(
                f"a batch of {self.batch_size} cannot be split into "
                f"{self.gradient_accumulation_steps} micro-batches"
            )


CHOICES = {"stage": (1, 2, 3), "precision": ("bf16", "fp32"), "device": ("auto", "cpu")}
RENAMED = {
    "accumulate": "gradient_accumulation_steps",
    "clip": "max_grad_norm",
}
"""Settings of older files by their present names."""
GONE = {"degrade_on_device": "faces are always degraded where the network is"}
"""Settings of older files that are no more, and why."""
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
    "adversarial_share",
    "adversarial_rise",
    "discriminator_lead",
    "mild_share",
    "clean_share",
    "full_fidelity_share",
    "full_fidelity_perceptual",
)
