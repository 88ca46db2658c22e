"""One process or many: what HF accelerate is asked for."""

from typing import TYPE_CHECKING, Any

from ..errors import MissingModelError, SettingError
from .config import RunConfig
from .stages import Company

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(config: RunConfig) -> "Accelerator":
    """The engine of a run: device, processes, gradients averaged over them.

    Processes come from the environment, as `accelerate launch` or `torchrun` set it. Precision is
    ours (autocast), because accelerate would let one program train in one precision only.

    Raises:
        MissingModelError: accelerate is not installed.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs
    except ImportError as error:
        raise MissingModelError(
            "training needs accelerate: pip install 'codeformer-blocks[train]'"
        ) from error
    # Buffers are equal everywhere already: every process sees the gathered batch.
    parallel = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(mixed_precision="no", cpu=config.device == "cpu", kwargs_handlers=[parallel])


def company_of(accelerator: "Accelerator") -> Company:
    """What a stage may ask of all processes together."""
    if accelerator.num_processes == 1:
        return Company()
    # Accelerate takes and returns nested containers; we give and get plain tensors.
    reduce: Any = accelerator.reduce
    gather: Any = accelerator.gather
    return Company(mean=lambda tensor: reduce(tensor, "mean"), gather=gather)


def places_of(config: RunConfig, process: int, processes: int) -> tuple[range, ...]:
    """Places in the global batch of each micro-batch of a process.

    Contiguous, so that processes one after the other have the batch in its order.

    Raises:
        SettingError: the batch cannot be shared out evenly.
    """
    share, rest = divmod(config.batch_size, processes * config.accumulate)
    if rest or not share:
        raise SettingError(
            f"a batch of {config.batch_size} cannot be shared by {processes} processes in "
            f"{config.accumulate} micro-batches each; change batch_size or accumulate"
        )
    first = process * share * config.accumulate
    return tuple(
        range(first + part * share, first + (part + 1) * share) for part in range(config.accumulate)
    )
