"""Make video files of every kind that the tests need, and read them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from codeformer_core.video.scheduling import usual_scheduling

MARKER = (240, 20, 240)
"""Colour of what `MarkerDetector` takes for a face."""


def scene(height: int, width: int, centre: tuple[float, float] | None, side: int) -> np.ndarray:
    """A gradient with the marker of a face on it, (H, W, 3) uint8."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack(
        [60 + 80 * columns / width, 60 + 80 * rows / height, np.full(rows.shape, 90.0)], -1
    )
    if centre is not None:
        x, y = centre
        inside = (abs(columns - x) <= side / 2) & (abs(rows - y) <= side / 2)
        picture[inside] = MARKER
    return picture.round().astype(np.uint8)


@dataclass
class Clip:
    """What to make; `write` makes it."""

    height: int = 96
    width: int = 128
    count: int = 12
    rate: int = 25
    codec: str = "libx264"
    pixels: str = "yuv420p"
    times: Sequence[int] | None = None
    """In ticks of 1 / (rate * 100) s; None is evenly spaced."""
    side: int = 36
    centre: Callable[[int], tuple[float, float] | None] = lambda index: (50 + index, 48)
    options: dict[str, str] = field(default_factory=lambda: {"crf": "12"})
    audio: bool = False
    subtitles: bool = False
    change: Callable[[Any], None] = lambda stream: None
    """Sets what else the stream is to have."""
    paint: Callable[[int], np.ndarray] | None = None
    """Makes the frames instead."""

    def write(self, path: Path) -> Path:
        """Encode and mux everything."""
        with av.open(str(path), "w") as container:
            stream = container.add_stream(self.codec, rate=self.rate, options=self.options)
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, self.pixels
            base = Fraction(1, self.rate * 100)
            stream.codec_context.time_base = stream.time_base = base
            self.change(stream)
            with usual_scheduling():
                stream.codec_context.open()
            sound = container.add_stream("aac", rate=48_000) if self.audio else None
            words = _add_words(container, path.with_suffix(".srt")) if self.subtitles else []
            for index in range(self.count):
                picture = self.frame(index)
                picture.pts = self.times[index] if self.times else index * 100
                picture.time_base = base
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
            if sound is not None:
                _write_sound(container, sound, self.count / self.rate)
            container.mux(words)
        return path

    def picture(self, index: int) -> np.ndarray:
        """A frame, (H, W, 3) uint8."""
        if self.paint is not None:
            return self.paint(index)
        return scene(self.height, self.width, self.centre(index), self.side)

    def frame(self, index: int) -> Any:
        """A frame in the clip's pixel format."""
        picture = self.picture(index)
        if self.pixels.startswith("yuva"):
            opacity = np.linspace(0, 255, self.width).round().astype(np.uint8)
            opacity = np.broadcast_to(opacity, picture.shape[:2])[..., None]
            frame = av.VideoFrame.from_ndarray(np.concatenate([picture, opacity], -1), "rgba")
        else:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        return frame.reformat(format=self.pixels)


def _write_sound(container: Any, stream: Any, seconds: float) -> None:
    time = np.arange(int(48_000 * seconds)) / 48_000
    samples = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    for start in range(0, len(samples), 1024):
        part = np.stack([samples[start : start + 1024]] * 2)
        frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


WORDS = """1
00:00:00,100 --> 00:00:00,250
first words

2
00:00:00,300 --> 00:00:00,450
second words
"""


def _add_words(container: Any, path: Path) -> Any:
    """A stream of subtitles and its packets, still to be muxed."""
    path.write_text(WORDS)
    words = av.open(str(path))
    stream = container.add_stream_from_template(words.streams.subtitles[0])
    found = [packet for packet in words.demux() if packet.size]
    for packet in found:
        packet.stream = stream
    return found


def packets(path: Path, kind: str) -> list[list[tuple[Any, ...]]]:
    """Time, length and bytes of every packet of every stream of a kind."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        if not streams:
            return []
        found: dict[int, list[tuple[Any, ...]]] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams):
            if packet.size:
                found[packet.stream.index].append((packet.pts, packet.duration, bytes(packet)))
        return list(found.values())


def timing(path: Path) -> list[Fraction]:
    """When every frame is shown, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        times = [packet.pts for packet in container.demux(stream) if packet.size]
    return sorted(time * base for time in times if time is not None)


def duration(path: Path) -> float:
    """Of the whole file in seconds."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base


def pictures(path: Path, pixels: str = "rgb24", decoder: str | None = None) -> np.ndarray:
    """All frames, (B, H, W, C)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if decoder is None:
            return np.stack([frame.to_ndarray(format=pixels) for frame in container.decode(stream)])
        context: Any = av.CodecContext.create(decoder, "r")
        context.extradata = stream.codec_context.extradata
        frames = [
            frame
            for packet in container.demux(stream)
            for frame in context.decode(packet if packet.size else None)
        ]
        return np.stack([frame.to_ndarray(format=pixels) for frame in frames])
