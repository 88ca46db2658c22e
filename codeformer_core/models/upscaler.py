"""What enlarges pictures, of whatever maker: by a network, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor, nn

from ..runtime import Runtime

TILES = (512, 256, 128)
"""Sides of the tiles, from the first to what is tried at the last; even, for networks that fold."""


class TiledUpscaler:
    """Enlarges (B, H, W, 3) pictures by the factor of its network.

    Called as `codeformer_core.pipeline.upscaling.Upscaler`.
    """

    bytes_per_pixel: float
    """Memory for the activations of a tile's pixel."""
    margin: int
    """Pixels around a tile that the network sees too, so that no seam shows; even."""

    def __init__(self, network: nn.Module, scale: int, draw: Callable[[Tensor], Tensor]) -> None:
        """Take a network.

        Args:
            network: which the runtime brings to its device.
            scale: how many times larger its pictures are.
            draw: runs it on (B, 3, h, w), h and w even where the whole picture's are.
        """
        self.network, self.scale, self._draw = network, scale, draw

    def __call__(self, images: Tensor, runtime: Runtime) -> Tensor:
        """Enlarge pictures.

        Raises:
            OutOfMemoryError: not even the smallest tile fits.
        """
        planes = images.movedim(-1, 1).float().nan_to_num(0.5).clamp(0, 1)
        return self.drawn(planes, runtime).clamp(0, 1).movedim(1, -1).to(images)

    def drawn(self, planes: Tensor, runtime: Runtime) -> Tensor:
        """What the network makes of (B, 3, H, W), as large as the result.

        Raises:
            OutOfMemoryError: not even the smallest tile fits.
        """
        for side in TILES:
            needed = self.bytes_per_pixel * (side + 2 * self.margin) ** 2
            step = partial(self._in_tiles, planes, side, runtime)
            larger = runtime.attempt(self.network, needed, step)
            if larger is not None:
                return larger
        raise runtime.out_of_memory(self.network, f"a tile of {TILES[-1]} px in the upscaler")

    def _in_tiles(self, planes: Tensor, side: int, runtime: Runtime) -> Tensor:
        height, width, scale = *planes.shape[2:], self.scale
        larger = planes.new_empty((*planes.shape[:2], height * scale, width * scale))
        tiles = list(_tiles(height, width, side))
        for index, (top, left) in enumerate(tiles):
            rows = slice(max(0, top - self.margin), min(height, top + side + self.margin))
            columns = slice(max(0, left - self.margin), min(width, left + side + self.margin))
            seen = self._draw(planes[:, :, rows, columns].to(runtime.device(self.network)))
            inside = seen[:, :, (top - rows.start) * scale :, (left - columns.start) * scale :]
            target = larger[:, :, top * scale : (top + side) * scale]
            target = target[..., left * scale : (left + side) * scale]
            target.copy_(inside[:, :, : target.shape[2], : target.shape[3]])
            runtime.report(index + 1, len(tiles))
        return larger


def _tiles(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    """Top and left of every tile."""
    return ((top, left) for top in range(0, height, side) for left in range(0, width, side))
