"""What is known of a video before its frames are restored."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

UNSPECIFIED = 2
"""The code of ITU-T H.273 for a colour property that nobody stated."""
TELEVISION_RANGE, FULL_RANGE = 1, 2
"""FFmpeg's numbers for samples from 16 to 235 (of 8 bits), and from 0 to the largest."""
PQ, HLG = 16, 18
"""Transfer characteristics of high dynamic range (H.273)."""


@dataclass(frozen=True)
class Colour:
    """How samples become light: the numbers of ITU-T H.273, kept from source to result."""

    range: int = 0
    """0 unknown, 1 television range, 2 full range."""
    matrix: int = UNSPECIFIED
    """Of luma and chroma; 0 for RGB."""
    primaries: int = UNSPECIFIED
    """Of the three colours."""
    transfer: int = UNSPECIFIED
    """From light to samples."""


@dataclass(frozen=True)
class PixelFormat:
    """What a decoded picture is made of, by FFmpeg's name for it."""

    name: str
    """Such as yuv420p10le."""
    bits: int
    """Of one sample."""
    alpha: bool
    """Whether it has opacity."""
    rgb: bool
    """Whether it holds red, green and blue rather than luma and chroma."""
    gray: bool
    """Whether it has no colour."""
    chroma_width: int = 1
    """Pixels that share a chroma sample in a row."""
    chroma_height: int = 1
    """Rows that share it."""


@dataclass(frozen=True)
class Orientation:
    """How stored pictures are turned to stand upright: transpose first, then mirror."""

    transpose: bool = False
    """Rows become columns."""
    mirror_x: bool = False
    """Left becomes right."""
    mirror_y: bool = False
    """Top becomes bottom."""

    @property
    def upright(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.transpose or self.mirror_x or self.mirror_y)


@dataclass(frozen=True)
class VideoInformation:
    """Facts of the first moving picture stream of a file."""

    path: Path
    """The file."""
    stream: int
    """Index of the stream in it."""
    width: int
    """Of upright frames."""
    height: int
    """Of upright frames."""
    time_base: Fraction
    """Seconds of one tick of the frames' times."""
    rate: Fraction
    """Frames a second, on average."""
    frames: int
    """Roughly how many; 0 if unknown."""
    codec: str
    """FFmpeg's name of the codec."""
    format: PixelFormat
    """Of decoded pictures."""
    colour: Colour
    """How samples become light."""
    sample_aspect: Fraction
    """Width to height of an upright pixel."""
    orientation: Orientation
    """How stored pictures are turned."""
    interlaced: bool
    """Whether a frame holds two moments."""

    @property
    def frame_ticks(self) -> int:
        """Ticks between two frames, on average; at least 1."""
        return max(1, round(1 / (self.rate * self.time_base)))

    def clock(self, ticks: int) -> str:
        """A time as people read it: 1:02:03.40."""
        seconds = float(ticks * self.time_base)
        hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
        return f"{hours}:{minutes:02}:{seconds % 60:05.2f}"
