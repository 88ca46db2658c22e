"""The upscaler of this library: bicubic interpolation, and on it what the network draws."""

from torch import Tensor
from torch.nn import functional as F

from ..checkpoints.building import Target, filled, has_keys
from ..checkpoints.reader import State, WeightFile
from ..images.tensors import interpolate
from ..networks.enlarger import FOLD, SCALE, Enlarger, EnlargerConfig
from ..runtime import Runtime
from .upscaler import TiledUpscaler

FITS = has_keys("head.", "body.0.first.", "body.0.second.", "tail.")
"""Whether a file is of this kind."""


class EnlargerUpscaler(TiledUpscaler):
    """Enlarges twice; gray stays gray, and values beyond 0..1 are interpolated only."""

    bytes_per_pixel = 800.0

    def __init__(self, network: Enlarger) -> None:
        super().__init__(network, SCALE, self._details)
        self.margin = network.reach

    def __call__(self, images: Tensor, runtime: Runtime) -> Tensor:
        """Enlarge pictures.

        Raises:
            OutOfMemoryError: not even the smallest tile fits.
        """
        height, width = images.shape[1:3]
        plain = interpolate(images.float(), SCALE * height, SCALE * width)
        planes = images.movedim(-1, 1).float().nan_to_num(0.5).clamp(0, 1)
        odd = (0, -width % FOLD, 0, -height % FOLD)
        details = self.drawn(F.pad(planes, odd, mode="replicate"), runtime)
        details = details[:, :, : SCALE * height, : SCALE * width].movedim(1, -1)
        gray = (images == images[..., :1]).flatten(1).all(1)
        for index in gray.nonzero().flatten().tolist():
            details[index] = details[index].mean(-1, keepdim=True)
        low, high = images.amin((1, 2), keepdim=True), images.amax((1, 2), keepdim=True)
        # In place: at four times the pixels every further copy counts.
        return plain.add_(details).clamp_(low.clamp(max=0), high.clamp(min=1)).to(images)

    def _details(self, planes: Tensor) -> Tensor:
        return self.network(planes.to(next(self.network.parameters()).dtype)).float()


def build_enlarger(file: WeightFile, target: Target) -> EnlargerUpscaler:
    """Build what a file holds."""
    network = Enlarger(_config(file.state), target.operations)
    return EnlargerUpscaler(filled(network, file.state, target))


def _config(state: State) -> EnlargerConfig:
    blocks = {key.split(".")[1] for key in state if key.startswith("body.")}
    return EnlargerConfig(channels=state["head.weight"].shape[0], blocks=len(blocks))
