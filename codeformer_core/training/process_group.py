"""One process or many: what HF accelerate is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import SettingError
from ..packages import needed_for
from .config import RunConfig

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass
class ProcessGroup:
    """What the processes of a run do together; alone, nothing."""

    mean: Callable[[Tensor], Tensor] = lambda tensor: tensor
    """Mean of a tensor over all processes."""
    gather: Callable[[Tensor], Tensor] = lambda tensor: tensor
    """Tensors of all processes, one after the other along the first dimension."""


def make_accelerator(config: RunConfig) -> "Accelerator":
    """The engine of a run: device, processes, gradients averaged over them.

    Processes come from the environment, as `accelerate launch` or `torchrun` set it. Precision is
    ours (autocast), because accelerate would let one program train in one precision only.

    Raises:
        MissingModelError: accelerate is not installed.
    """
    with needed_for("training", "accelerate"):
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs
    # Buffers are equal everywhere already: every process sees the gathered batch.
    parallel = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(mixed_precision="no", cpu=config.device == "cpu", kwargs_handlers=[parallel])


def process_group_of(accelerator: "Accelerator") -> ProcessGroup:
    """What a stage may ask of all processes together."""
    if accelerator.num_processes == 1:
        return ProcessGroup()
    # Accelerate takes and returns nested containers; we give and get plain tensors.
    reduce: Any = accelerator.reduce
    gather: Any = accelerator.gather
    return ProcessGroup(mean=lambda tensor: reduce(tensor, "mean"), gather=gather)


def places_of(config: RunConfig, process: int, processes: int) -> tuple[range, ...]:
    """Places in the global batch of each micro-batch of a process.

    Contiguous, so that processes one after the other have the batch in its order.

    Raises:
        SettingError: the batch cannot be shared out evenly.
    """
    parts = config.gradient_accumulation_steps
    share, rest = divmod(config.batch_size, processes * parts)
    if rest or not share:
        raise SettingError(
            f"a batch of {config.batch_size} cannot be shared by {processes} processes in {parts} "
            "micro-batches each; change batch_size or gradient_accumulation_steps"
        )
    first = process * share * parts
    return tuple(range(first + part * share, first + (part + 1) * share) for part in range(parts))
