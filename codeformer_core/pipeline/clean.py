"""Tell faces that a model would make worse: clean ones, sharper than what it gives back."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..faces.colour import LUMINANCE_WEIGHTS
from ..images import resize

CLEAN_NOISE = (0.3 / 255, 2.5 / 255)
"""Noise of clean skin, from its own grain to that of a good camera. On 36 portraits of 128 px it is
0.7 in the median; less where JPEG or blur has wiped the grain away, more from a noise of 5 on."""
AS_SHARP = 0.9
"""Share of the restoration's sharpness that is enough: what the model adds to a face nearly as
sharp is its own. Of those 36, slightly blurred (0.8 to 0.9), it made every one worse; blurred and
compressed (0.6 to 0.8), nearly none."""
SMALLEST = 16
"""Side in pixels of the smallest face that is looked at in its own size."""
SHARPEST_SHARE = 0.1
"""Of the pixels: where the edges are."""


def clean_faces(
    inputs: Tensor, restored: Tensor, sides: Sequence[float], upscale: float = 1.0
) -> Tensor:
    """Which faces are clean and at least as sharp as their restoration.

    The grain is looked at in the size that the face has in its picture, for enlarged it has none;
    sharpness in the size that it has in the result, where the restoration may show more than there
    was. They are told from the picture alone, so a face that only a strong JPEG damaged can be
    taken for a clean one.

    Args:
        inputs: (N, H, H, 3) in 0..1, before.
        restored: (N, S, S, 3) in 0..1, after.
        sides: of the N aligned squares in their pictures, in pixels.
        upscale: factor to the result.

    Returns:
        (N,) of booleans.
    """
    largest = restored.shape[1]
    judged = [
        _has_clean_noise(before[None], _looked_at(side, largest))
        and _is_as_sharp(before[None], after[None], _looked_at(side * upscale, largest))
        for before, after, side in zip(inputs.float(), restored.float(), sides, strict=True)
    ]
    return torch.tensor(judged, dtype=torch.bool)


def _looked_at(side: float, largest: int) -> int:
    """The size in which a face of this size is looked at."""
    return min(max(SMALLEST, round(side)), largest)


def _has_clean_noise(face: Tensor, side: int) -> bool:
    """Whether (1, H, H, 3) has the noise of clean skin at this size."""
    noise = float(noise_level(_luminance(resize(face, side, side))))
    return CLEAN_NOISE[0] <= noise <= CLEAN_NOISE[1]


def _is_as_sharp(before: Tensor, after: Tensor, side: int) -> bool:
    """Whether a face, (1, H, H, 3), is as sharp as its restoration, both at this size."""
    given, made = (
        float(sharpness(_luminance(resize(face, side, side)))) for face in (before, after)
    )
    return given >= AS_SHARP * made


def noise_level(luminance: Tensor) -> Tensor:
    """Standard deviation of the noise of (N, S, S) pictures, as of Gaussian noise: (N,).

    The median response to the difference of two Laplacians, which edges do not reach (Immerkaer
    1996, with a median in the place of the mean).
    """
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6
    return _response(luminance, kernel).median(1).values / 0.6745  # of a normal distribution


def sharpness(luminance: Tensor) -> Tensor:
    """How strong the edges of (N, S, S) pictures are: mean of the largest Laplacians, (N,)."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]) / 4
    response = _response(luminance, kernel)
    edges = max(1, int(SHARPEST_SHARE * response.shape[1]))
    return response.topk(edges, 1).values.mean(1)


def _response(luminance: Tensor, kernel: Tensor) -> Tensor:
    """(N, S, S) to the sizes of a filter's answers, (N, places)."""
    answers = functional.conv2d(luminance[:, None], kernel.to(luminance)[None, None])
    return answers.abs().flatten(1)


def _luminance(pictures: Tensor) -> Tensor:
    weights = torch.tensor(LUMINANCE_WEIGHTS, device=pictures.device, dtype=pictures.dtype)
    return (pictures * weights).sum(-1)
