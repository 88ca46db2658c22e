"""Make pictures larger, by interpolation or by a network of the caller's."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import SettingError
from ..images import resize, resize_visible, without_hidden
from ..runtime import Runtime

Upscaler = Callable[[Tensor, Runtime], Tensor]
"""Enlarges (B, H, W, 3) pictures by a factor of its own, and says in the runtime how far it is."""

LARGEST_UPSCALE = 4.0
NETWORK, BICUBIC = "network", "bicubic"
"""What enlarges where nothing else is named: the upscaler of the package, or interpolation."""


def check_upscale(upscale: float) -> None:
    """Raise a SettingError unless the factor is in range."""
    if not 1 <= upscale <= LARGEST_UPSCALE:
        raise SettingError(f"upscale is {upscale}: it must be between 1 and {LARGEST_UPSCALE:g}")


def enlarge(
    images: Tensor,
    upscale: float,
    upscaler: Upscaler | None = None,
    runtime: Runtime | None = None,
) -> Tensor:
    """Enlarge (B, H, W, C) pictures to exactly `upscale` times their size, rounded to pixels.

    Args:
        images: pictures; returned as they are if their size does not change. Of a fourth channel,
            the opacity, colours that it hides do not show.
        upscale: the factor.
        upscaler: does the work by a factor of its own; its result is resized to fit.
        runtime: for the upscaler.
    """
    height, width = (round(side * upscale) for side in images.shape[1:3])
    if (height, width) == images.shape[1:3]:
        return images
    runtime, count = runtime or Runtime(), len(images)
    larger = images.new_empty((count, height, width, images.shape[3]))
    # Frame by frame: an upscaler's own factor may be larger, and interpolation needs room too.
    for index, place in enumerate(larger.split(1)):
        frame = images[index : index + 1]
        share = runtime.share(index / count, (index + 1) / count)
        place.copy_(_enlarged_frame(frame, height, width, upscaler, share))
    return larger


def _enlarged_frame(
    frame: Tensor, height: int, width: int, upscaler: Upscaler | None, runtime: Runtime
) -> Tensor:
    """A (1, H, W, C) picture at another size."""
    if frame.shape[3] < 4:
        return resize(upscaler(frame, runtime) if upscaler else frame, height, width)
    if upscaler is None:
        return resize_visible(frame, height, width)
    colours = resize(upscaler(without_hidden(frame), runtime), height, width)
    return torch.cat([colours, resize(frame[..., 3:], height, width)], dim=3)


def enlarged_copy(
    images: Tensor, upscale: float, upscaler: Upscaler | None, runtime: Runtime
) -> Tensor:
    """Pictures of their own to paint on, with the opacity that `images` (B, H, W, 3 or 4) have."""
    larger = enlarge(images, upscale, upscaler, runtime)
    return images.clone() if larger is images else larger
