"""Pictures side by side with captions, for people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from . import as_images, to_uint8

GAP = 12
TEXT_SIZE = 18
LINE_HEIGHT = 25
PAPER = (255, 255, 255)
INK = (24, 24, 24)


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet."""

    image: Tensor
    """(H, W, 3) in 0..1."""
    caption: tuple[str, ...]
    """Lines below it."""


def draw_sheet(rows: Sequence[Sequence[Panel]], width: int = 512) -> Tensor:
    """Draw rows of pictures, each brought to one width and captioned.

    Args:
        rows: pictures from top left to bottom right; no row may be empty.
        width: of every picture in pixels; heights follow.

    Returns:
        (H, W, 3) float32 in 0..1.
    """
    drawn = [[_draw_panel(panel, width) for panel in row] for row in rows]
    heights = [max(panel.height for panel in row) for row in drawn]
    columns = max(len(row) for row in drawn)
    size = (columns * (width + GAP) + GAP, sum(heights) + GAP * (len(rows) + 1))
    sheet = Image.new("RGB", size, PAPER)
    top = GAP
    for row, height in zip(drawn, heights, strict=True):
        for column, panel in enumerate(row):
            sheet.paste(panel, (GAP + column * (width + GAP), top))
        top += height + GAP
    return as_images(np.asarray(sheet))[0]


def _draw_panel(panel: Panel, width: int) -> Image.Image:
    image = Image.fromarray(to_uint8(panel.image))
    height = max(1, round(image.height * width / image.width))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    paper = Image.new("RGB", (width, height + LINE_HEIGHT * len(panel.caption)), PAPER)
    paper.paste(image)
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(TEXT_SIZE)
    for line, text in enumerate(panel.caption):
        draw.text((2, height + line * LINE_HEIGHT + 2), text, fill=INK, font=font)
    return paper
