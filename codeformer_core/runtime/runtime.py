"""The one seam between what a network computes and where it does."""

import logging
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from ..errors import OutOfMemoryError, SettingError

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all); an exception raised in it stops the job."""

Result = TypeVar("Result")

SHARED_STEPS = 1000
"""Steps in all of a job whose parts have shares of its progress."""
MOST_ITEMS = 32
"""In one batch; more gains nothing and delays progress and Cancel."""
MOST_ITEMS_ON_CPU = 16
CPU_BYTES = 6.1e8
"""Activations of one batch on a CPU, those of one 512 px face: there a larger batch is no faster,
and progress should move."""
USABLE_SHARE = 0.8
"""Of the free memory: the estimates of activations are not exact."""
FULL = ("out of memory", "can't allocate memory")
"""What PyTorch says on devices whose full memory has no error class of its own."""

log = logging.getLogger("CodeFormer")


class Network(Protocol):
    """What a runtime must know of a network; every `nn.Module` offers it."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """Its weights."""
        ...


class Runtime:
    """Runs networks on the device they lie on, as many items at once as its memory holds.

    Everything that runs a network goes through `batches` or `attempt`: detectors, restorers,
    parsers, distances, upscalers. This one needs no host. A host's overrides `device`, `load`,
    `free_memory`, `is_out_of_memory`, `out_of_memory`, `release_memory` and `show`.
    """

    def __init__(
        self, on_progress: Progress | None = None, *, batch_size: int | None = None
    ) -> None:
        """Prepare to run networks.

        Args:
            on_progress: called after every batch; may raise to stop the job.
            batch_size: most items of one batch; None takes what the memory holds.

        Raises:
            SettingError: a batch size under 1.
        """
        if batch_size is not None and batch_size < 1:
            raise SettingError(f"batch_size is {batch_size}: it must be at least 1")
        self._on_progress = on_progress
        self._batch_size = batch_size
        self._start, self._stop = 0.0, 1.0

    # ------------------------------------------------------------------------ running networks

    def batches(
        self,
        network: Network,
        count: int,
        step: Callable[[slice], Result],
        *,
        bytes_per_item: float,
        item: str = "face",
    ) -> Iterator[tuple[slice, Result]]:
        """Run a step over consecutive batches of items, ever smaller while memory runs out.

        Progress is reported when the caller comes back for the next batch, so that what it does
        with a result counts too.

        Args:
            network: what the step runs; its weights are on `device(network)` while it does.
            count: number of items.
            step: does the items of a slice; may be called again with a smaller one. Its result is
                never None.
            bytes_per_item: memory that the activations of one item take.
            item: what to call one of them before a person.

        Yields:
            The slice and the step's result, in order.

        Raises:
            OutOfMemoryError: there is no room even for one item.
        """
        start, size = 0, self.batch_size(network, bytes_per_item)
        while start < count:
            part = slice(start, min(start + size, count))
            items = part.stop - part.start
            result = self.attempt(network, bytes_per_item * items, partial(step, part))
            if result is None and items == 1:
                raise self.out_of_memory(network, f"one {item}")
            if result is None:
                size = items // 2
                continue
            yield part, result
            del result
            start = part.stop
            self.report(start, count)

    def attempt(
        self, network: Network, bytes_needed: float, step: Callable[[], Result]
    ) -> Result | None:
        """Run a step that has a smaller way to do its work; None if memory ran out.

        Args:
            network: what the step runs.
            bytes_needed: memory that its activations take.
            step: does the work; gradients are off, and its result is never None.
        """
        try:
            self.load(network, bytes_needed)
            with torch.no_grad():
                return step()
        except Exception as error:
            if not self.is_out_of_memory(error):
                raise
            log.info("going on with less at once: %s", error)
        # Outside of the handler: until it ends, the error keeps the failed tensors alive.
        self.release_memory()
        return None

    def batch_size(self, network: Network, bytes_per_item: float) -> int:
        """Items of one batch: what is free now, within reason."""
        if self._batch_size is not None:
            return self._batch_size
        device = self.device(network)
        if device.type == "cpu":
            most, room = MOST_ITEMS_ON_CPU, CPU_BYTES
        else:
            most, room = MOST_ITEMS, USABLE_SHARE * self.free_memory(device)
        return max(1, min(most, int(room / bytes_per_item)))

    # -------------------------------------------------------------------- progress and Cancel

    def report(self, done: int, total: int) -> None:
        """Say how far the job is; whoever listens may raise to stop it."""
        if self._on_progress is None:
            return
        if (self._start, self._stop) == (0.0, 1.0):
            self._on_progress(done, total)
        else:
            place = self._start + (self._stop - self._start) * done / max(1, total)
            self._on_progress(round(SHARED_STEPS * place), SHARED_STEPS)

    def share(self, start: float, stop: float) -> Self:
        """The same runtime for a part of a job, whose progress goes from `start` to `stop` in 0..1.

        All parts of a job need a share, or its progress would jump between two scales.
        """
        part = copy(self)
        length = self._stop - self._start
        part._start, part._stop = self._start + length * start, self._start + length * stop
        return part

    def silent(self) -> Self:
        """The same runtime for what is done within a step: it tells no progress of its own."""
        part = copy(self)
        part._on_progress = None
        return part

    def show(self, picture: Tensor) -> None:
        """Show (H, W, 3) in 0..1, what was made last, beside the progress."""

    # ------------------------------------------------------------------- what a host overrides

    def device(self, network: Network) -> torch.device:
        """Where the network computes."""
        weights = next(network.parameters(), None)
        return torch.device("cpu") if weights is None else weights.device

    def load(self, network: Network, bytes_needed: float) -> None:
        """Bring the weights to the device, with room for so many more bytes."""

    def free_memory(self, device: torch.device) -> float:
        """Bytes that can be taken on a device now."""
        if device.type != "cuda":
            return CPU_BYTES
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether an error says that a device's memory is full."""
        if isinstance(error, torch.OutOfMemoryError):
            return True
        return isinstance(error, RuntimeError) and any(words in str(error) for words in FULL)

    def out_of_memory(self, network: Network, item: str) -> Exception:
        """What to raise where not even one item fits."""
        return OutOfMemoryError(
            f"{self.device(network)} has no room for even {item}: end what else uses its memory, "
            'or use the processor (--device cpu; in Python, load the model with device="cpu")'
        )

    def release_memory(self) -> None:
        """Give back what failed attempts left."""
        torch.cuda.empty_cache()
