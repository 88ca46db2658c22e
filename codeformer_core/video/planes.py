"""The samples of a frame, upright: seen as RGB where a face is, painted on there and nowhere else.

A frame stays in the sample format it is encoded in. Only the rectangle of a face is turned into
RGB, and only what changed in it is turned back, as a difference: all other samples stay as they
were decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..faces.warp import Rectangle
from .dynamic_range import from_display, to_display
from .information import (
    FULL_RANGE,
    TELEVISION_RANGE,
    UNSPECIFIED,
    Colour,
    Orientation,
    PixelFormat,
    VideoInformation,
)
from .reading import describe_format, turned

Samples = NDArray[Any]

LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""Of red and blue, for each matrix of H.273."""
SCALER_MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M"}
"""FFmpeg's scaler by its names; BT.2020 is converted with equal matrices on both sides anyway."""
HIGH_DEFINITION = 576
"""More rows than this are taken for BT.709 where the file does not say."""


@dataclass(frozen=True)
class SampleLayout:
    """How the planes of a frame hold colours."""

    format: PixelFormat
    """Their format, one with a plane for each component."""
    colour: Colour
    """How samples become light."""
    rows: int
    """Of the upright frame."""

    @property
    def luma_weights(self) -> tuple[float, float]:
        """Of red and blue in luma."""
        return LUMA_WEIGHTS.get(self.colour.matrix, LUMA_WEIGHTS[self.guessed_matrix])

    @property
    def guessed_matrix(self) -> int:
        """What players take for the matrix of luma and chroma where the file does not say."""
        return 1 if self.rows > HIGH_DEFINITION else 6

    def at_another_size(self) -> SampleLayout:
        """The same, whose matrix nobody need guess from the number of rows."""
        if self.colour.matrix != UNSPECIFIED:
            return self
        return replace(self, colour=replace(self.colour, matrix=self.guessed_matrix))

    @property
    def scales(self) -> tuple[float, float, float]:
        """Black, the range from black to white, and the range of chroma, in sample values."""
        unit = float(1 << (self.format.bits - 8))
        if self.format.rgb or self.colour.range == FULL_RANGE:
            top = 256 * unit - 1
            return 0.0, top, top
        return 16 * unit, 219 * unit, 224 * unit


class Planes:
    """A frame to look at and to paint on.

    Attributes:
        samples: luma, chroma and opacity, or green, blue, red and opacity: (rows, columns) each.
        layout: what they mean.
    """

    def __init__(self, samples: list[Samples], layout: SampleLayout) -> None:
        """Take over the planes of an upright frame, which are painted on in place."""
        self.samples = samples
        self.layout = layout
        self._across, self._down = layout.format.chroma_width, layout.format.chroma_height

    @property
    def height(self) -> int:
        """Rows of the frame."""
        return self.samples[0].shape[0]

    @property
    def width(self) -> int:
        """Columns of the frame."""
        return self.samples[0].shape[1]

    def whole_chroma(self, part: Rectangle) -> Rectangle:
        """The rectangle, grown so that it cuts through no chroma sample, inside the frame."""
        small = self._in_chroma(part)
        grown = Rectangle(
            small.left * self._across,
            small.top * self._down,
            small.right * self._across,
            small.bottom * self._down,
        )
        return grown.clipped(self.height, self.width)

    def view(self, part: Rectangle) -> Tensor:
        """The colours of a rectangle, (h, w, 3) float32 RGB in 0..1 as a display would show them.

        High dynamic range is brought to the range that networks know, reversibly.
        """
        return to_display(self._coded(part), self.layout.colour.transfer)

    def paint(self, part: Rectangle, painted: Tensor) -> None:
        """Put back what has changed of a rectangle.

        Args:
            part: as given to `view`, cutting through no chroma sample.
            painted: (h, w, 3), what `view` returned with some pixels changed.
        """
        before = self._coded(part)
        changed = painted != to_display(before, self.layout.colour.transfer)
        after = from_display(painted, self.layout.colour.transfer)
        self._add(part, torch.where(changed, after - before, torch.zeros(())))

    def _coded(self, part: Rectangle) -> Tensor:
        """Red, green and blue of a rectangle as they are coded, (h, w, 3)."""
        black, span, chroma_span = self.layout.scales
        first = (_floats(self.samples[0], part) - black) / span
        if self.layout.format.gray:
            return first[..., None].expand(-1, -1, 3).contiguous()
        if self.layout.format.rgb:
            blue, red = ((_floats(plane, part) - black) / span for plane in self.samples[1:3])
            return torch.stack([red, first, blue], -1)
        middle = float(1 << (self.layout.format.bits - 1))
        blueness, redness = (
            (self._spread(plane, part) - middle) / chroma_span for plane in self.samples[1:3]
        )
        red_weight, blue_weight = self.layout.luma_weights
        red = first + 2 * (1 - red_weight) * redness
        blue = first + 2 * (1 - blue_weight) * blueness
        green = (first - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
        return torch.stack([red, green, blue], -1)

    def _add(self, part: Rectangle, change: Tensor) -> None:
        """Add (h, w, 3) of coded RGB to a rectangle."""
        _, span, chroma_span = self.layout.scales
        red, green, blue = change.unbind(-1)
        if self.layout.format.rgb:
            for plane, values in zip(self.samples, (green, blue, red), strict=False):
                self._raise(plane, part, values * span)
            return
        red_weight, blue_weight = self.layout.luma_weights
        luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
        self._raise(self.samples[0], part, luma * span)
        if self.layout.format.gray:
            return
        small = self._in_chroma(part)
        for plane, values, weight in (
            (self.samples[1], blue - luma, blue_weight),
            (self.samples[2], red - luma, red_weight),
        ):
            difference = self._downsampled(values / (2 * (1 - weight)))
            self._raise(plane, small, difference * chroma_span)

    def _raise(self, plane: Samples, part: Rectangle, values: Tensor) -> None:
        top = float((1 << self.layout.format.bits) - 1)
        raised = (_floats(plane, part) + values).round_().clamp_(0, top)
        plane[part.top : part.bottom, part.left : part.right] = raised.numpy()

    def _in_chroma(self, part: Rectangle) -> Rectangle:
        return Rectangle(
            part.left // self._across,
            part.top // self._down,
            -(-part.right // self._across),
            -(-part.bottom // self._down),
        )

    def _spread(self, plane: Samples, part: Rectangle) -> Tensor:
        """Chroma of every pixel of a rectangle: that of the sample that the pixel shares.

        Nothing is interpolated, so that what is painted is seen again exactly.
        """
        values = _floats(plane, self._in_chroma(part))
        for side, count in enumerate((self._down, self._across)):
            values = values.repeat_interleave(count, side) if count > 1 else values
        return values[: part.height, : part.width]

    def _downsampled(self, values: Tensor) -> Tensor:
        """Means over the pixels that share a chroma sample; those at the far edge may be fewer."""
        block = (self._down, self._across)
        if block == (1, 1):
            return values
        return functional.avg_pool2d(values[None], block, ceil_mode=True)[0]


def sample_layout(information: VideoInformation, target: PixelFormat) -> SampleLayout:
    """How the frames of a video hold colours in the format in which they are encoded."""
    colour = information.colour
    if target.rgb:
        colour = replace(colour, range=FULL_RANGE, matrix=0)
    elif information.format.rgb:
        colour = replace(colour, range=TELEVISION_RANGE, matrix=1)
    return SampleLayout(target, colour, information.height)


def read_planes(picture: Any, layout: SampleLayout, orientation: Orientation) -> Planes:
    """Copy the samples of a decoded frame, upright and in the layout's format.

    Args:
        picture: PyAV's frame.
        layout: how the planes are to hold colours.
        orientation: how the frame is to be turned.
    """
    # The names that begin with yuvj say nothing but that the range is full.
    if picture.format.name.replace("yuvj", "yuv") != layout.format.name:
        picture = _converted(picture, layout)
    kind = np.dtype(np.uint8 if layout.format.bits <= 8 else np.uint16)
    samples: list[Samples] = []
    for plane in picture.planes:
        rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
        samples.append(turned(rows[:, : plane.width], orientation).copy())
    return Planes(samples, layout)


def _converted(picture: Any, layout: SampleLayout) -> Any:
    """The frame in another format, its colours and their range the same."""
    matrix = SCALER_MATRICES.get(layout.colour.matrix, "ITU601")
    full = layout.colour.range == FULL_RANGE
    source_full = full or describe_format(picture.format.name).rgb
    return picture.reformat(
        format=layout.format.name,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range="JPEG" if source_full else "MPEG",
        dst_color_range="JPEG" if full else "MPEG",
    )


def fill_picture(picture: Any, planes: Planes) -> None:
    """Copy the samples of planes into PyAV's frame of the same size and format."""
    for plane, samples in zip(picture.planes, planes.samples, strict=True):
        rows = np.frombuffer(plane, samples.dtype).reshape(plane.height, -1)
        rows[:, : plane.width] = samples


def _floats(plane: Samples, part: Rectangle) -> Tensor:
    """A part of a plane as float32."""
    values = plane[part.top : part.bottom, part.left : part.right]
    return torch.from_numpy(values.astype(np.float32))
