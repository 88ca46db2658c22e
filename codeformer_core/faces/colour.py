"""Bring the colours of restored crops back to those of the faces they replace."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ColourMatch = Literal["none", "mean", "lab"]

WIDEST_CONTRAST_CHANGE = 1.5
"""A restored face has more contrast than its blurred original for good reason: matching spreads
may not undo more than this."""

GRAY_VARIANCE = 10.0 / 255.0**2
"""Mean variance of the channels' differences up to which a face counts as gray (values 0..1)."""

LUMINANCE_WEIGHTS = (0.2989, 0.587, 0.114)

# IEC 61966-2-1: linear sRGB to CIE XYZ, each row already divided by the D65 white point.
_RGB_TO_XYZ = (
    (0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883),
)


def match_colour(crops: Tensor, originals: Tensor, weights: Tensor, how: ColourMatch) -> Tensor:
    """Give restored crops the overall colour of the original ones.

    Args:
        crops: (N, S, S, 3) restored faces, RGB, 0..1.
        originals: (N, S, S, 3) the same crops of the picture.
        weights: (N, S, S) how much each pixel counts.
        how: "mean" shifts every channel to the original's mean; "lab" fits mean and spread of
            lightness and colour in CIE L*a*b*; "none" returns the crops as they are.

    Returns:
        (N, S, S, 3) float32, clipped to 0..1 where anything was matched.
    """
    if how == "none":
        return crops
    crops, originals = crops.float(), originals.float().clamp(0.0, 1.0)
    if how == "mean":
        shift = _mean(originals, weights) - _mean(crops, weights)
        return (crops + shift).clamp(0.0, 1.0)
    matched = _match_statistics(rgb_to_lab(crops), rgb_to_lab(originals), weights)
    return lab_to_rgb(matched).clamp(0.0, 1.0)


def match_gray(crops: Tensor, originals: Tensor, gray: Tensor | None = None) -> Tensor:
    """Turn restored crops gray wherever the original face was gray, or toned as a sepia print is.

    Args:
        crops: (N, S, S, 3) restored faces, RGB, 0..1.
        originals: (N, S, S, 3) what went into the network.
        gray: (N,) which of them were; None looks at each.

    Returns:
        (N, S, S, 3); crops of coloured faces come back as they are.
    """
    if not len(crops):
        return crops
    weights = torch.tensor(LUMINANCE_WEIGHTS, device=crops.device, dtype=crops.dtype)
    light = (crops * weights).sum(dim=-1, keepdim=True)
    colour = originals.to(crops).mean(dim=(1, 2), keepdim=True)
    tone = colour - colour.mean(dim=-1, keepdim=True)  # zero where the channels are equal
    toned = torch.where(tone.abs() > 1e-6, (light + tone).clamp(0.0, 1.0), light)
    chosen = is_gray(originals) if gray is None else gray
    return torch.where(chosen.to(crops.device).view(-1, 1, 1, 1), toned, crops)


def is_gray(crops: Tensor) -> Tensor:
    """Return (N,) whether each of (N, S, S, 3) crops has no colour of its own."""
    return colour_variance(crops) <= GRAY_VARIANCE


def colour_variance(crops: Tensor) -> Tensor:
    """Return (N,) how much the colours of (N, H, W, 3) pictures vary, whatever their lightness."""
    red, green, blue = crops.float().clamp(0.0, 1.0).flatten(1, 2).unbind(-1)
    differences = torch.stack([red - green, green - blue, blue - red])
    return differences.var(2, correction=0).mean(0)


def rgb_to_lab(pixels: Tensor) -> Tensor:
    """Convert (..., 3) sRGB 0..1 to CIE L*a*b* (D65), L* 0..100; negative values count as 0."""
    pixels = pixels.clamp(min=0.0)
    linear = torch.where(pixels > 0.04045, ((pixels + 0.055) / 1.055) ** 2.4, pixels / 12.92)
    ratios = _mix_channels(linear, torch.tensor(_RGB_TO_XYZ, device=pixels.device))
    bent = torch.where(
        ratios > 216 / 24389, ratios.clamp(min=1e-8) ** (1 / 3), ratios * (841 / 108) + 4 / 29
    )
    x, y, z = bent.unbind(-1)
    return torch.stack((116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)), dim=-1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert (..., 3) CIE L*a*b* (D65) to sRGB; colours outside sRGB leave 0..1."""
    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16.0) / 116.0
    bent = torch.stack((y + a / 500.0, y, y - b / 200.0), dim=-1)
    ratios = torch.where(bent > 6 / 29, bent**3, (bent - 4 / 29) * (108 / 841))
    inverse = torch.linalg.inv(torch.tensor(_RGB_TO_XYZ, dtype=torch.float64)).float()
    linear = _mix_channels(ratios, inverse.to(lab.device))
    curved = 1.055 * linear.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, linear * 12.92)


def _mix_channels(pixels: Tensor, matrix: Tensor) -> Tensor:
    # Written out, because a matrix product may run in TF32 and colours would drift.
    red, green, blue = (pixels[..., channel, None] for channel in range(3))
    return red * matrix[:, 0] + green * matrix[:, 1] + blue * matrix[:, 2]


def _match_statistics(values: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    centre, target_centre = _mean(values, weights), _mean(targets, weights)
    spread = _mean((values - centre) ** 2, weights).sqrt()
    target_spread = _mean((targets - target_centre) ** 2, weights).sqrt()
    factor = target_spread / spread.clamp(min=1e-4)
    factor = factor.clamp(1.0 / WIDEST_CONTRAST_CHANGE, WIDEST_CONTRAST_CHANGE)
    return (values - centre) * factor + target_centre


def _mean(pixels: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean colour of each (N, S, S, 3) crop as (N, 1, 1, 3)."""
    shares = weights.unsqueeze(-1) / weights.sum(dim=(1, 2)).clamp(min=1e-6).view(-1, 1, 1, 1)
    return (pixels * shares).sum(dim=(1, 2), keepdim=True)
