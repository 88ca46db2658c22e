"""The one seam between what a network computes and where it does."""

from collections.abc import Callable, Iterator
from copy import copy
from typing import TypeVar

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
"""A batch is no faster on a CPU: only as much that a step of the progress is worth showing."""
CPU_BYTES = 6e8
"""Activations of one batch on a CPU, those of one 512 px face."""
USABLE_SHARE = 0.8
"""Of the free memory: the estimates of activations are not exact."""


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
        network: nn.Module,
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
            step: does the items of a slice, without gradients; may be called again with a smaller
                slice.
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
            fits, result = self._try(network, bytes_per_item * items, step, part)
            if not fits and items == 1:
                raise self.out_of_memory(network, f"one {item}")
            if not fits:
                size = items // 2
                continue
            yield part, result  # type: ignore[misc]
            del result
            start = part.stop
            self.report(start, count)

    def attempt(
        self, network: nn.Module, bytes_needed: float, step: Callable[[], Result]
    ) -> Result | None:
        """Run a step that has a smaller way to do its work; None if memory ran out.

        Args:
            network: what the step runs.
            bytes_needed: memory that its activations take.
            step: does the work, without gradients.
        """
        _, result = self._try(network, bytes_needed, lambda _: step(), slice(0))
        return result

    def _try(
        self, network: nn.Module, needed: float, step: Callable[[slice], Result], part: slice
    ) -> tuple[bool, Result | None]:
        """Whether the step fitted into memory, and its result."""
        try:
            self.load(network, needed)
            with torch.no_grad():
                return True, step(part)
        except Exception as error:
            if not self.is_out_of_memory(error):
                raise
        # Outside of the handler: until it ends, the error keeps the failed tensors alive.
        self.release_memory()
        return False, None

    def batch_size(self, network: nn.Module, bytes_per_item: float) -> int:
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

    # ------------------------------------------------------------------- what a host overrides

    def device(self, network: nn.Module) -> torch.device:
        """Where the network computes."""
        return next(network.parameters()).device

    def load(self, network: nn.Module, bytes_needed: float) -> None:
        """Bring the weights to the device, with room for so many more bytes."""

    def free_memory(self, device: torch.device) -> float:
        """Bytes that can be taken on a device now."""
        if device.type != "cuda":
            return CPU_BYTES
        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + reserved

    def is_out_of_memory(self, error: Exception) -> bool:
        """Whether an error says that a device's memory is full."""
        return isinstance(error, torch.OutOfMemoryError)

    def out_of_memory(self, network: nn.Module, item: str) -> Exception:
        """What to raise where not even one item fits."""
        return OutOfMemoryError(
            f"{self.device(network)} has no room for even {item}: end what else uses its memory, "
            'or use the processor (--device cpu; in Python, load the model with device="cpu")'
        )

    def release_memory(self) -> None:
        """Give back what failed attempts left."""
        torch.cuda.empty_cache()

    def show(self, picture: Tensor) -> None:
        """Show (H, W, 3) in 0..1, what was made last, beside the progress."""
