"""JPEG on a device: what compression does to a batch of pictures, without any file.

Everything a JPEG codec loses, step by step (ITU-T T.81): half-resolution colour, 8x8 cosine
transform, quantisation by tables scaled to a quality (annex K, scaled as the Independent JPEG
Group does), rounding to bytes. Entropy coding loses nothing and is left out.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..images.constants import constant

BLOCK = 8
UNIT = 16
"""Pixels are coded in squares of this side, as colour has half the resolution."""


def _cosine(wave: int, place: int) -> float:
    """The orthonormal 8-point cosine transform (DCT-II)."""
    scale = math.sqrt((2 if wave else 1) / BLOCK)
    return scale * math.cos(math.pi / BLOCK * (place + 0.5) * wave)


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
FROM_YCBCR = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""And back."""
CENTRES = ((0.0,), (128.0,), (128.0,))
"""Where the bytes of luminance and colour differences have their zero."""
WAVES = tuple(
    tuple(_cosine(row, y) * _cosine(column, x) for y in range(BLOCK) for x in range(BLOCK))
    for row in range(BLOCK)
    for column in range(BLOCK)
)
"""The orthonormal cosine transform of a block as one (64, 64) matrix: a wave a row."""


def compress_batch(planes: Tensor, qualities: Tensor) -> Tensor:
    """Through JPEG and back, without a file.

    Args:
        planes: (B, 3, H, W) RGB in 0..1, H and W multiples of 16: pad by repeating the edge.
        qualities: (B,) 1..100.

    Returns:
        (B, 3, H, W) float32 in 0..1, in steps of 1/255.
    """
    there, back = (constant(each, planes.device) for each in (TO_YCBCR, FROM_YCBCR))
    values = torch.einsum("dc,bchw->bdhw", there, (planes.clamp(0, 1) * 255).round())
    values = (values + constant(CENTRES, planes.device)[..., None]).round()
    luminance = _code(values[:, :1], _table(LUMINANCE_TABLE, qualities))
    colour = _code(F.avg_pool2d(values[:, 1:], 2), _table(CHROMINANCE_TABLE, qualities))
    # Twice the size with weights 3/4 and 1/4, as decoders do: bilinear between half pixels.
    colour = F.interpolate(colour, scale_factor=2.0, mode="bilinear", align_corners=False)
    decoded = torch.cat([luminance, colour.round() - 128], dim=1)
    rgb = torch.einsum("dc,bchw->bdhw", back, decoded)
    return rgb.round().clamp(0, 255) / 255


def _code(planes: Tensor, table: Tensor) -> Tensor:
    """Transform, quantise and back: (B, C, H, W) in 0..255 with (B, 64) steps."""
    batch, channels, height, width = planes.shape
    grid = (batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    # (B, C, H, W) -> (B, C, H/8, W/8, 64)
    blocks = (planes - 128).view(grid).transpose(3, 4).flatten(4)
    waves, steps = constant(WAVES, planes.device), table[:, None, None, None]
    blocks = (blocks @ waves.T / steps).round() * steps @ waves
    blocks = blocks.unflatten(4, (BLOCK, BLOCK)).transpose(3, 4)
    return (blocks.reshape(planes.shape) + 128).round().clamp(0, 255)


def _table(base: tuple[tuple[int, ...], ...], qualities: Tensor) -> Tensor:
    """Quantisation steps of each quality: (B,) -> (B, 64)."""
    qualities = qualities.float().clamp(1, 100)
    percent = torch.where(qualities < 50, (5000 / qualities).floor(), 200 - 2 * qualities)
    steps = (constant(base, qualities.device).flatten() * percent.view(-1, 1) + 50).div(100).floor()
    return steps.clamp(1, 255)
