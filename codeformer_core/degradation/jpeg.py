"""JPEG on a device: what compression does to a batch of pictures, without any file.

Everything a JPEG codec loses, step by step (ITU-T T.81): half-resolution colour, 8x8 cosine
transform, quantisation by tables scaled to a quality (annex K, scaled as the Independent JPEG
Group does), rounding to bytes. Entropy coding loses nothing and is left out.
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8
UNIT = 16
"""Pixels are coded in squares of this side, as colour has half the resolution."""

LUMINANCE_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""T.81 table K.1."""
CHROMINANCE_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""T.81 table K.2."""
TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
"""JFIF: luminance and two colour differences of RGB."""


def compress_batch(planes: Tensor, qualities: Tensor) -> Tensor:
    """Through JPEG and back, without a file.

    Args:
        planes: (B, 3, H, W) RGB in 0..1, H and W multiples of 16: pad by repeating the edge.
        qualities: (B,) 1..100.

    Returns:
        (B, 3, H, W) float32 in 0..1, in steps of 1/255.
    """
    matrix = planes.new_tensor(TO_YCBCR)
    values = torch.einsum("dc,bchw->bdhw", matrix, (planes.clamp(0, 1) * 255).round())
    values = (values + values.new_tensor([0.0, 128.0, 128.0]).view(1, 3, 1, 1)).round()
    luminance = _code(values[:, :1], _table(LUMINANCE_TABLE, qualities))
    colour = _code(F.avg_pool2d(values[:, 1:], 2), _table(CHROMINANCE_TABLE, qualities))
    # Twice the size with weights 3/4 and 1/4, as decoders do: bilinear between half pixels.
    colour = F.interpolate(colour, scale_factor=2.0, mode="bilinear", align_corners=False)
    decoded = torch.cat([luminance, colour.round() - 128], dim=1)
    rgb = torch.einsum("dc,bchw->bdhw", torch.linalg.inv(matrix), decoded)
    return rgb.round().clamp(0, 255) / 255


def _code(planes: Tensor, table: Tensor) -> Tensor:
    """Transform, quantise and back: (B, C, H, W) in 0..255 with (B, 8, 8) steps."""
    batch, channels, height, width = planes.shape
    grid = (batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    # (B, C, H, W) -> (B, C, H/8, W/8, 8, 8)
    blocks = (planes - 128).view(grid).transpose(3, 4)
    cosines = _cosines().to(planes)
    steps = table[:, None, None, None]
    coefficients = (cosines @ blocks @ cosines.T / steps).round() * steps
    blocks = cosines.T @ coefficients @ cosines
    return (blocks.transpose(3, 4).reshape(planes.shape) + 128).round().clamp(0, 255)


def _table(base: tuple[tuple[int, ...], ...], qualities: Tensor) -> Tensor:
    """Quantisation steps of each quality: (B,) -> (B, 8, 8)."""
    qualities = qualities.float().clamp(1, 100)
    percent = torch.where(qualities < 50, (5000 / qualities).floor(), 200 - 2 * qualities)
    steps = (qualities.new_tensor(base) * percent.view(-1, 1, 1) + 50).div(100).floor()
    return steps.clamp(1, 255)


@cache
def _cosines() -> Tensor:
    """The orthonormal 8-point cosine transform (DCT-II) as an (8, 8) matrix."""
    index = torch.arange(BLOCK, dtype=torch.float64)
    waves = torch.cos(torch.pi / BLOCK * (index + 0.5) * index.unsqueeze(1))
    waves[0] /= 2**0.5
    return (waves * (2 / BLOCK) ** 0.5).float()
