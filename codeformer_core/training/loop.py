"""The training loop: batches, two optimisers, moving average, checkpoints."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import CheckpointError, PictureError
from ..images import make_folder
from ..metrics import codebook_usage
from ..networks import PatchDiscriminator
from .config import RunConfig
from .data import Batch, FaceBatches
from .ema import EMA
from .interrupts import stopping_on_interrupt
from .losses import discriminator_loss
from .operations import compile_blocks, narrow_helpers, operations_for
from .process_group import make_accelerator, places_of, process_group_of
from .reporting import FolderReporter, Reporter, Silent
from .run_folder import RunFolder, State
from .schedule import Schedule
from .stage import Adversary, Stage, StepResult
from .stages import make_stage
from .supply import make_batches
from .validation import validate

OnStep = Callable[[int, int, dict[str, float]], None]
"""Called with (steps done, steps in all, last numbers) after every step."""
UNFIT = (CheckpointError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
"""What PyTorch and we raise over a state that lacks a part, or has one of another size or kind."""


class Trainer:
    """Runs one stage in one folder, from wherever the folder's last checkpoint is.

    Args:
        config: the stage's settings.
        folder: of the run; made if it is not there, resumed from if it holds a checkpoint.

    Raises:
        CheckpointError: weights or a state that are damaged or of other sizes.
        MissingModelError: weights, a backbone or accelerate are not there.
        PictureError: no faces to train on, or a folder that cannot be made.
        SettingError: settings that do not go together.
    """

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self.config, self.folder = config, RunFolder(folder)
        self.accelerator = make_accelerator(config)
        self.device = self.accelerator.device
        self.places = places_of(
            config, self.accelerator.process_index, self.accelerator.num_processes
        )
        self.batches, self.validation = make_batches(config, self.device)
        make_folder(folder)
        self._build()
        self.step, self.seconds = 0, 0.0
        self.scores: dict[str, float] = {}
        self._resume()
        self.schedule = Schedule(config)
        self._asked = (self.step, self.seconds)
        self.reporter: Reporter = Silent()

    def _build(self) -> None:
        config = self.config
        torch.backends.cudnn.benchmark = True  # sizes are the same every step
        torch.manual_seed(config.seed)  # the same first weights in every process
        stage = make_stage(config).to(self.device)
        stage.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (stubs)
        if self.batches.variants and config.stage > 1:
            stage.remember_codes(self.batches.variants)
        stage.process_group = process_group_of(self.accelerator)
        discriminator = PatchDiscriminator(
            config.discriminator_channels, operations=operations_for(config)
        ).to(self.device)
        discriminator.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.stage: Stage[Any] = stage
        self.discriminator = discriminator
        self.trained = [p for p in stage.network.parameters() if p.requires_grad]
        self.optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(each, config.learning_rate, config.betas, fused=True)
            for each in (self.trained, discriminator.parameters())
        )
        self.ema = EMA(stage.network, config.ema)
        if config.precision == "bf16":
            narrow_helpers(stage)
        if config.compile:
            compile_blocks(stage)
        # The same modules, wrapped so that gradients are averaged over all processes.
        self.shared_stage = self.accelerator.prepare_model(stage)
        self.shared_discriminator = self.accelerator.prepare_model(discriminator)

    def run(
        self,
        stop: threading.Event | None = None,
        on_step: OnStep | None = None,
        seconds: float | None = None,
    ) -> bool:
        """Train until the last step, or until `stop` is set or Ctrl-C; saves before returning.

        Args:
            stop: ends the run after the present step.
            on_step: called after every step.
            seconds: what the run has to do all of its schedule in; it stops when they are over.

        Returns:
            Whether the last step has been made.

        Raises:
            CheckpointError: the weights cannot be written.
            PictureError: a face cannot be read, or the disk is full or not writable.
        """
        stop = stop or threading.Event()
        self.schedule = Schedule(self.config, self.step, seconds)
        self._asked = (self.step, self.seconds)
        if self.accelerator.is_main_process:
            self.reporter = FolderReporter(self.folder.path, self.step)
        try:
            with stopping_on_interrupt(stop):
                self._run(stop, on_step)
        except BaseException:
            with suppress(PictureError):  # of a full disk the first error says more
                self.reporter.close()
            raise
        self.reporter.close()
        return self.step >= self.config.steps

    def _run(self, stop: threading.Event, on_step: OnStep | None) -> None:
        while not self.schedule.is_over(self.step):
            started = time.monotonic()
            progress = self._progress()
            results = self.train_step(self._parts(), progress)
            self.step += 1
            stopping = self._any_process(stop.is_set())
            ending = stopping or self.schedule.is_over(self.step, progress)
            self.seconds += time.monotonic() - started
            numbers = self._report(results, progress, ending)
            if ending or self.step % self.config.save_every == 0:
                self.save()
            if on_step is not None:
                on_step(self.step, self.config.steps, numbers)
            if ending:
                return

    def _parts(self) -> list[Batch]:
        """The micro-batches of this process's present step."""
        return [self.batches.at(self.step, places) for places in self.places]

    def _progress(self) -> float:
        """Share of the run that is done, the same in all processes."""
        progress = self.schedule.progress(self.step)
        if self.accelerator.num_processes == 1 or self.schedule.seconds is None:
            return progress
        clocks = torch.tensor(progress, device=self.device)
        return float(self.stage.process_group.mean(clocks))

    def train_step(self, parts: Sequence[Batch], progress: float = 0.0) -> list[StepResult]:
        """One step of the optimisers with all micro-batches of this process.

        Args:
            parts: micro-batches on the device, of equal size.
            progress: share of the run that is done.
        """
        self._set_learning_rate(progress)
        self.optimizer.zero_grad()
        strength = self.schedule.adversarial_strength(self.step, progress)
        adversary = Adversary(self.discriminator, strength) if strength else None
        self.discriminator.requires_grad_(False)  # the generator's losses must not move it
        results = [
            self._backward(part, adversary, last=number == len(parts) - 1, share=len(parts))
            for number, part in enumerate(parts)
        ]
        self.discriminator.requires_grad_(True)
        nn.utils.clip_grad_norm_(self.trained, self.config.max_grad_norm, foreach=True)
        self.optimizer.step()
        self.stage.after_step(self.step)
        self.ema.update()
        if self.schedule.trains_discriminator(self.step, progress):
            self._train_discriminator(parts, results)
        return results

    def _backward(
        self, part: Batch, adversary: Adversary | None, last: bool, share: int
    ) -> StepResult:
        # Processes exchange gradients once a step, with the last micro-batch.
        waiting = nullcontext() if last else self.accelerator.no_sync(self.shared_stage)
        with waiting:
            with self._autocast():
                result = self.shared_stage(part, self.step, adversary)
            self.accelerator.backward(result.loss / share)
        pictures = None if result.pictures is None else result.pictures.detach()
        return dataclasses.replace(result, pictures=pictures)

    def _train_discriminator(self, parts: Sequence[Batch], results: Sequence[StepResult]) -> None:
        self.discriminator_optimizer.zero_grad()
        for number, (part, result) in enumerate(zip(parts, results, strict=True)):
            if result.pictures is None:
                continue
            last = number == len(parts) - 1
            model = self.shared_discriminator
            with nullcontext() if last else self.accelerator.no_sync(model):
                with self._autocast():
                    logits = model(torch.cat([part.clean, result.pictures])).float()
                loss = discriminator_loss(*logits.chunk(2))
                self.accelerator.backward(loss / len(parts))
        self.discriminator_optimizer.step()

    def _autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _set_learning_rate(self, progress: float) -> None:
        rate = self.schedule.learning_rate(self.step, progress)
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def _report(
        self, results: Sequence[StepResult], progress: float, ending: bool
    ) -> dict[str, float]:
        """Log and validate where it is time to; returns the last numbers."""
        config = self.config
        if self.step % config.log_every == 0:
            self.scores |= (numbers := self._numbers(results, progress))
            self.reporter.scalars(self.step, numbers)
        if self.validation and (ending or self.step % config.validate_every == 0):
            self._validate(self.validation)
        return self.scores

    def _numbers(self, results: Sequence[StepResult], progress: float) -> dict[str, float]:
        """Losses of this step over all micro-batches and processes."""
        names = results[0].logged
        sums = [torch.stack([r.logged[name].detach().float() for r in results]) for name in names]
        means = self.stage.process_group.mean(torch.stack([each.mean() for each in sums]))
        numbers = dict(zip(names, means.tolist(), strict=True))
        codes = [result.codes for result in results if result.codes is not None]
        if codes:
            share, perplexity = codebook_usage(
                torch.cat(codes), self.config.model.vqgan.codebook_size
            )
            numbers |= {"codes used": share, "perplexity": perplexity}
        speed = self._speed()
        rate = self.schedule.learning_rate(self.step, progress)
        return numbers | {"learning rate": rate, "pictures per second": speed}

    def _speed(self) -> float:
        """Pictures a second since it was last asked."""
        (steps, seconds), self._asked = self._asked, (self.step, self.seconds)
        return self.config.batch_size * (self.step - steps) / max(1e-9, self.seconds - seconds)

    def _validate(self, batches: FaceBatches) -> None:
        if not self.accelerator.is_main_process:
            return
        count = -(-min(self.config.validation_faces, len(batches.faces.weights)) // batches.size)
        made = (batches.at(step) for step in range(count))
        with self._autocast():
            result = validate(self.stage, self.ema.network, made)
        self.scores |= result.scores
        self.reporter.scalars(self.step, result.scores, "validation")
        self.reporter.pictures(self.step, result.grid)

    def _any_process(self, wanted: bool) -> bool:
        """Whether any process wants to stop: all must do so at the same step."""
        if self.accelerator.num_processes == 1:
            return wanted
        flag = torch.tensor(float(wanted), device=self.device)
        return bool(self.stage.process_group.mean(flag) > 0)

    def save(self) -> None:
        """Write weights, settings and state; each file is replaced whole.

        Raises:
            CheckpointError: the weights cannot be written.
            PictureError: the disk is full or not writable.
        """
        if not self.accelerator.is_main_process:
            return
        run: dict[str, Any] = {
            "stage": self.config.stage,
            "step": self.step,
            "steps": self.config.steps,
            "seconds": round(self.seconds, 1),
            "device": _device_name(self.device),
            "processes": self.accelerator.num_processes,
            "faces": len(self.batches.faces.weights),
            "scores": {name: round(value, 5) for name, value in self.scores.items()},
            "config": dataclasses.asdict(self.config),
        }
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "stage": self.stage.state(),
            "average": self.ema.network.state_dict(),
            "averaged": self.ema.updates,
            "discriminator": self.discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }
        self.folder.save(partial(self.stage.write, self.ema.network), run, state)

    def _resume(self) -> None:
        """Go on from the folder's last checkpoint, if it holds one.

        Raises:
            CheckpointError: it is damaged, or of a run with other settings.
        """
        state = self.folder.load()
        if state is None:
            return
        try:
            self._restore(state)
        except torch.cuda.OutOfMemoryError:  # of every device; no fault of the state's
            raise
        except UNFIT as error:
            lacks = "it lacks " if isinstance(error, KeyError) else ""
            reason = " ".join(str(error).split())  # PyTorch lists what differs, line by line
            raise CheckpointError(
                f"{self.folder.state}: does not go on with these settings ({lacks}{reason:.200}); "
                f"use those the run was begun with, which {self.folder.description.name} beside it "
                "names, choose another folder with --out, or delete the file to start anew"
            ) from error

    def _restore(self, state: State) -> None:
        """Take over what `save` wrote; raises any of `UNFIT` where it does not fit."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.stage.restore(state["stage"])
        self.ema.network.load_state_dict(state["average"])
        self.ema.updates = state["averaged"]
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
