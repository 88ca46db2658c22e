"""How far a run is, and what follows from that."""

import math
import time

from .config import RunConfig


class Schedule:
    """The learning rate, and when and how fast the adversarial loss joins.

    Both follow the steps. Where a run has been given a time instead, which ends before the steps
    do, both follow the clock: the rate rises again at its start and has fallen at its end.

    Args:
        config: of the run.
        first_step: at which it begins or goes on.
        seconds: that it has; None if it may make all its steps.
    """

    def __init__(
        self, config: RunConfig, first_step: int = 0, seconds: float | None = None
    ) -> None:
        self.config, self.seconds = config, seconds
        self._first_step = 0 if seconds is None else first_step
        self._started = time.monotonic()

    def progress(self, step: int) -> float:
        """Share of the run that is done, 0 to 1."""
        if self.seconds is None:
            return step / self.config.steps
        elapsed = time.monotonic() - self._started
        return min(1.0, elapsed / max(1e-9, self.seconds))

    def is_over(self, step: int, progress: float = 0.0) -> bool:
        """Whether no step is left, or no time; how far the clock was is asked once a step."""
        return step >= self.config.steps if self.seconds is None else progress >= 1

    def learning_rate(self, step: int, progress: float) -> float:
        """Linear warm-up, then a cosine down to `final_rate`."""
        config = self.config
        warm = min(1.0, (step - self._first_step + 1) / max(1, config.warm_up))
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * cosine)

    def adversarial_strength(self, step: int, progress: float) -> float:
        """How much of its weight the adversarial loss has in a step, 0 (there is none) to 1."""
        since, rise = self._since_adversarial(step, progress), self.config.adversarial_rise
        if since < 0 or not self.config.losses.adversarial:
            return 0.0
        return min(1.0, since / rise) if rise else 1.0

    def trains_discriminator(self, step: int, progress: float) -> bool:
        """Whether the discriminator learns in a step, with an adversarial loss or ahead of it."""
        if not self.config.losses.adversarial:
            return False
        return self._since_adversarial(step, progress) >= -self.config.discriminator_lead

    def _since_adversarial(self, step: int, progress: float) -> float:
        """Share of the run since the adversarial loss joined, below 0 before."""
        if self.seconds is None:
            return (step - self.config.adversarial_after) / self.config.steps
        return progress - self.config.adversarial_share
