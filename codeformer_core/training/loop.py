"""The training loop: batches ahead of time, two optimisers, moving average, checkpoints.

A run folder holds `weights.safetensors` (the moving average, ready for the next stage),
`run.json` (settings and progress), `log.jsonl` (a line of losses every few steps) and `state.pt`
(everything needed to go on as if nothing had happened).
"""

import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .codebook_care import usage
from .config import RunConfig
from .data import Batch, FaceBatches, load_faces
from .losses import discriminator_loss
from .stages import Stage, StepResult, make_stage
from .weights import save_weights

LOG_EVERY = 20


class Trainer:
    """Runs one stage in one folder, from wherever the folder's last checkpoint is.

    Args:
        config: the stage's settings.
        folder: of the run; made if it is not there, resumed from if it holds a checkpoint.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder = config, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.stage: Stage = make_stage(config).to(memory_format=torch.channels_last)
        self.trained = [p for p in self.stage.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.trained, config.learning_rate, config.betas)
        self.discriminator_optimizer = torch.optim.Adam(
            self.stage.discriminator.parameters(), config.learning_rate, config.betas
        )
        self.average = MovingAverage(self.stage.network, config.ema)
        self.batches = FaceBatches(
            load_faces(Path(config.data), config.model.vqgan.image_size),
            config.batch_size,
            config.seed,
            config.strong,
            config.mild,
            config.mild_share,
            degrade=config.stage > 1,
        )
        self.step = 0
        if self._state_file.is_file():
            self._resume()

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.pt"

    def run(self, stop: threading.Event | None = None) -> None:
        """Train until the last step, or until `stop` is set or Ctrl-C; saves before returning."""
        stop = stop or threading.Event()
        since, started = self.step, time.monotonic()
        with _stopping_on_interrupt(stop):
            for batch in self._batches_ahead():
                result = self._train_step(batch)
                self.step += 1
                if self.step % LOG_EVERY == 0:
                    speed = (self.step - since) / (time.monotonic() - started)
                    self._log(result, batch, speed * self.config.batch_size)
                if self.step % self.config.save_every == 0:
                    self.save()
                if stop.is_set():
                    break
        self.save()

    def _batches_ahead(self) -> Iterator[Batch]:
        """The remaining batches, each made by a thread while the one before is trained on."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.batches.at, self.step)
            for step in range(self.step, self.config.steps):
                batch = waiting.result()
                if step + 1 < self.config.steps:
                    waiting = pool.submit(self.batches.at, step + 1)
                yield batch

    def _train_step(self, batch: Batch) -> StepResult:
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate()
        self.optimizer.zero_grad()
        with self._autocast():
            result = self.stage(batch, self.step)
        result.loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.stage.after_step(self.step)
        self.average.update(self.stage.network)
        if result.adversarial:
            self._train_discriminator(batch.clean, result.pictures.detach())
        return result

    def _train_discriminator(self, real: Tensor, generated: Tensor) -> None:
        self.discriminator_optimizer.zero_grad()
        discriminator = self.stage.discriminator
        with self._autocast():
            loss = discriminator_loss(discriminator(real).float(), discriminator(generated).float())
        loss.backward()
        self.discriminator_optimizer.step()

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bf16")

    def _learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to `final_rate`."""
        config = self.config
        warm = min(1.0, (self.step + 1) / max(1, config.warm_up))
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / config.steps))
        return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * cosine)

    def _log(self, result: StepResult, batch: Batch, speed: float) -> None:
        line: dict[str, Any] = {"step": self.step, "pictures_per_second": round(speed, 2)}
        line |= {name: round(float(value.detach()), 5) for name, value in result.logged.items()}
        codes = getattr(self.stage, "_codes", None)
        if codes is not None:
            share, perplexity = usage(codes, self.config.model.vqgan.codebook_size)
            line |= {"codes_used": round(share, 3), "perplexity": round(perplexity, 1)}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write weights, settings and state; each file is replaced whole."""
        metadata = {"stage": str(self.config.stage), "step": str(self.step)}
        save_weights(self.average.state, metadata, self.folder / "weights.safetensors")
        run = {"step": self.step, "config": dataclasses.asdict(self.config)}
        _replace_text(self.folder / "run.json", json.dumps(run, indent=2))
        state = {
            "step": self.step,
            "stage": self.stage.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }
        part = self._state_file.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self._state_file)

    def _resume(self) -> None:
        # Not a weight file: optimiser states, written by `save` and read by nothing else.
        state = torch.load(  # noqa: TID251
            self._state_file, map_location="cpu", weights_only=True
        )
        self.step = state["step"]
        self.stage.load_state_dict(state["stage"])
        self.average.state = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


class MovingAverage:
    """Exponential moving average of a network's weights; codebooks, already averages, as is."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present weights; fast at first, so that no start sticks."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            if name.startswith("quantize."):
                self.state[name].copy_(value)
            else:
                self.state[name].lerp_(value, 1 - decay)


@contextmanager
def _stopping_on_interrupt(stop: threading.Event) -> Iterator[None]:
    """While inside, Ctrl-C and SIGTERM set an event instead of breaking a step in two."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may take signals
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def _replace_text(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
