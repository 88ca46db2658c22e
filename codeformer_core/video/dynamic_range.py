"""High dynamic range as a network trained on ordinary pictures sees it, and back.

Film and phones code light with the PQ curve (SMPTE ST 2084) or as hybrid log-gamma (ARIB STD-B67);
taken for ordinary pictures, faces in them are pale and flat. Reference white (203 cd/m2, ITU-R
BT.2408) becomes 0.9 here, and what is brighter is bent into the rest, so that nothing is clipped
and the way back is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .information import HLG, PQ

REFERENCE_WHITE = 203.0
"""Light in cd/m2 of a white page in a picture of high dynamic range."""
KNEE = 0.9
"""Value of reference white; brighter light shares what is left above."""
GAMMA = 2.2
"""Of the display whose values networks know."""

PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
PQ_PEAK = 10_000.0
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
HLG_WHITE = 0.2645
"""Scene light of reference white, which HLG codes as 75%."""


def to_display(coded: Tensor, transfer: int) -> Tensor:
    """Bring coded RGB to the values of an ordinary picture; they are that already unless HDR.

    Args:
        coded: (..., 3) in 0..1.
        transfer: of H.273.
    """
    if transfer == PQ:
        return _bent(_pq_light(coded.clamp(0, 1)) / REFERENCE_WHITE)
    if transfer == HLG:
        return _bent(_hlg_light(coded.clamp(0, 1)) / HLG_WHITE)
    return coded


def from_display(values: Tensor, transfer: int) -> Tensor:
    """The way back from `to_display`."""
    if transfer == PQ:
        return _pq_code(_unbent(values) * REFERENCE_WHITE)
    if transfer == HLG:
        return _hlg_code(_unbent(values) * HLG_WHITE)
    return values


def _bent(light: Tensor) -> Tensor:
    """Light with reference white at 1 to display values in 0..1: a power, then a soft shoulder."""
    power = light.clamp(min=0) ** (1 / GAMMA) * KNEE
    room = 1 - KNEE
    over = (power - KNEE).clamp(min=0)
    return torch.where(power <= KNEE, power, KNEE + room * over / (over + room))


def _unbent(values: Tensor) -> Tensor:
    room = 1 - KNEE
    # Short of 1, which stands for infinite light.
    over = ((values - KNEE) / room).clamp(0, 1 - 1e-3)
    power = torch.where(values <= KNEE, values.clamp(min=0), KNEE + room * over / (1 - over))
    return (power / KNEE) ** GAMMA


def _pq_light(coded: Tensor) -> Tensor:
    root = coded ** (1 / PQ_M2)
    ratio = (root - PQ_C1).clamp(min=0) / (PQ_C2 - PQ_C3 * root)
    return ratio ** (1 / PQ_M1) * PQ_PEAK


def _pq_code(light: Tensor) -> Tensor:
    root = (light / PQ_PEAK).clamp(0, 1) ** PQ_M1
    return ((PQ_C1 + PQ_C2 * root) / (1 + PQ_C3 * root)) ** PQ_M2


def _hlg_light(coded: Tensor) -> Tensor:
    bright = (torch.exp((coded - HLG_C) / HLG_A) + HLG_B) / 12
    return torch.where(coded <= 0.5, coded**2 / 3, bright)


def _hlg_code(light: Tensor) -> Tensor:
    light = light.clamp(0, 1)
    bright = HLG_A * torch.log((12 * light - HLG_B).clamp(min=1e-6)) + HLG_C
    return torch.where(light <= 1 / 12, (3 * light) ** 0.5, bright)
