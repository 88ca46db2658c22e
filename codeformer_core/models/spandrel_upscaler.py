"""Networks that enlarge pictures, as the package `spandrel` reads them."""

from typing import Any

from ..checkpoints.building import Target
from ..checkpoints.reader import WeightFile
from ..errors import CheckpointError
from ..packages import needed_for
from .upscaler import TiledUpscaler

BYTES_PER_PIXEL_AND_FACTOR = 4 * 3 * 384
"""Memory for the activations of a tile."""


class SpandrelUpscaler(TiledUpscaler):
    """What spandrel has loaded."""

    margin = 16

    def __init__(self, descriptor: Any) -> None:
        super().__init__(descriptor.model, descriptor.scale, descriptor)
        self.bytes_per_pixel = BYTES_PER_PIXEL_AND_FACTOR * self.scale


def spandrel_upscaler(file: WeightFile, target: Target) -> SpandrelUpscaler:
    """Build what a file holds, in its own number type.

    Raises:
        MissingModelError: spandrel is not installed.
        CheckpointError: it is no upscaler of pictures.
    """
    with needed_for(file.path.name, "spandrel"):
        import spandrel
    try:
        descriptor = spandrel.ModelLoader().load_from_state_dict(dict(file.state))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CheckpointError(
            f"{file.path.name}: is no upscaler of spandrel's ({reason})"
        ) from error
    if descriptor.purpose != "SR" or descriptor.input_channels != 3:
        raise CheckpointError(f"{file.path.name}: does not enlarge pictures")
    descriptor.to(target.device).eval()
    descriptor.model.requires_grad_(False)
    return SpandrelUpscaler(descriptor)
