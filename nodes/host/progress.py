"""The running node's progress bar."""

from __future__ import annotations

import math
import time
from typing import Any

import comfy.utils
from torch import Tensor

from .messages import raise_if_cancelled, show_newest

SECONDS_BETWEEN_UPDATES = 0.1
"""Of the progress bar."""

PREVIEW_SIDE = 512
"""Longest side in pixels of the preview beside the progress bar."""


class ProgressBar:
    """The node's progress bar, with the newest face as preview; an update also notices Cancel.

    Called as `progress(done, total)`, the way every long function of the core reports.
    """

    def __init__(self, *, panel: bool = False) -> None:
        """Prepare a bar; with a panel the preview goes there, not to the frontend."""
        self._panel = panel
        self._bar: comfy.utils.ProgressBar | None = None
        self._picture: Tensor | None = None
        self._shown_at = -math.inf

    def __call__(self, done: float, total: float | None) -> None:
        """Show `done` of `total`; a total of None is not known and shows as half done."""
        raise_if_cancelled()
        now = time.monotonic()
        # Every message goes through the browser's socket: a download would send thousands.
        if done != total and now - self._shown_at < SECONDS_BETWEEN_UPDATES:
            return
        self._shown_at = now
        total = 2 * max(done, 1) if total is None else total
        bar = self._bar = self._bar or comfy.utils.ProgressBar(total)
        picture, self._picture = self._picture, None
        preview = None if picture is None else _preview(picture)
        if preview is not None and self._panel:
            show_newest(preview)
            preview = None
        bar.update_absolute(done, total, preview and ("JPEG", preview, PREVIEW_SIDE))

    def show(self, picture: Tensor) -> None:
        """Remember (H, W, 3) in 0..1 for the next update."""
        self._picture = picture


def _preview(picture: Tensor) -> Any:
    """(H, W, 3) in 0..1 as a PIL picture that is not too large to be sent often."""
    from PIL import Image

    pixels = picture.detach().float().mul(255).nan_to_num().clamp(0, 255)
    preview = Image.fromarray(pixels.byte().cpu().numpy())
    preview.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return preview
