"""Put a result together: the new frames at the old times, and everything else packet by packet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..files import written_whole
from .encoding import Encoding
from .information import VideoInformation
from .library import FFmpegError, av, encoding_errors, reason
from .reading import open_container

LARGEST_TIMESCALE = (1 << 31) - 1
"""A QuickTime file counts in whole parts of a second, of which there can be no more."""

MUXER_OPTIONS = {
    "mp4": {"movflags": "+faststart"},
    "mov": {"movflags": "+faststart+use_metadata_tags"},
    "mpegts": {"mpegts_copyts": "1"},
}
"""An index at the front, tags as they were, times as they were."""


@dataclass(frozen=True)
class Times:
    """When the frames of a video are shown, in ticks."""

    starts: Sequence[int]
    """Of every frame, rising."""
    last_duration: int
    """Of the last frame."""

    def duration(self, index: int) -> int:
        """How long a frame is shown."""
        if index + 1 < len(self.starts):
            return self.starts[index + 1] - self.starts[index]
        return self.last_duration


def write_video(
    target: Path,
    information: VideoInformation,
    encoding: Encoding,
    segments: Sequence[Path],
    times: Times,
) -> tuple[str, ...]:
    """Write a result; the file appears under its name only when it is whole.

    Args:
        target: the result.
        information: the source, whose sound, subtitles and data are copied.
        encoding: how the frames were encoded.
        segments: files of the encoded frames, in order.
        times: of all their frames.

    Returns:
        What could not be kept, in the user's words.

    Raises:
        DiskFullError: the disk is full.
        VideoError: it cannot be written.
    """
    with (
        open_container(information.path) as source,
        encoding_errors(target),
        written_whole(target) as part,
    ):
        options = _options(source, encoding)
        with av.open(str(part), "w", format=encoding.container, options=options) as result:
            copier = _Copier(source, result, information)
            copier.add_streams(segments[0], encoding)
            copier.copy(_Packets(segments, times, information.time_base))
        return tuple(copier.lost)


def _options(source: Any, encoding: Encoding) -> dict[str, str]:
    options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    options |= MUXER_OPTIONS.get(encoding.container, {})
    if encoding.container in ("mp4", "mov"):
        bases = [stream.time_base.denominator for stream in source.streams if stream.time_base]
        scale = math.lcm(*bases, 1000)
        if scale <= LARGEST_TIMESCALE:  # else sound may start up to half a millisecond off
            options["movie_timescale"] = str(scale)
    return options


class _Copier:
    """Fills a result with the streams of a source, one of them replaced."""

    def __init__(self, source: Any, result: Any, information: VideoInformation) -> None:
        self._source, self._result, self._information = source, result, information
        self._copies: dict[int, Any] = {}
        self.lost: list[str] = []
        result.metadata.update(source.metadata)
        result.metadata.pop("encoder", None)
        if hasattr(source, "chapters"):  # PyAV 15 and later
            result.set_chapters(source.chapters())

    def add_streams(self, segment: Path, encoding: Encoding) -> None:
        """Add the stream of the new frames, and a copy of every other that the container holds."""
        for stream in self._source.streams:
            try:
                if stream.index == self._information.stream:
                    copy = self._new_frames(segment, encoding)
                else:
                    copy = self._result.add_stream_from_template(stream, opaque=True)
                with suppress(RuntimeError):  # PyAV 14 leaves the time base to the container
                    copy.time_base = stream.time_base
                _describe_like(stream, copy)
            except (FFmpegError, ValueError, AttributeError, NotImplementedError) as error:
                if stream.index == self._information.stream:
                    raise
                self.lost.append(f"stream {stream.index} ({stream.type}) is not kept: {error}")
                continue
            self._copies[stream.index] = copy

    def _new_frames(self, segment: Path, encoding: Encoding) -> Any:
        with open_container(segment) as encoded:
            stream = self._result.add_stream_from_template(encoded.streams.video[0], opaque=True)
        if encoding.codec == "hevc" and encoding.container in ("mp4", "mov"):
            stream.codec_context.codec_tag = "hvc1"  # the only one that Apple's players know
        if encoding.format.alpha:
            stream.metadata["alpha_mode"] = "1"
        return stream

    def copy(self, packets: _Packets) -> None:
        """Mux all packets, those of the new frames at their times among the others."""
        video = self._copies.pop(self._information.stream)
        frames = iter(packets)
        waiting = next(frames, None)
        for packet in self._others():
            while waiting is not None and _moment(waiting) <= _moment(packet):
                self._mux(waiting, video)
                waiting = next(frames, None)
            self._mux(packet, self._copies[packet.stream.index])
        while waiting is not None:
            self._mux(waiting, video)
            waiting = next(frames, None)

    def _others(self) -> Iterator[Any]:
        streams = [self._source.streams[index] for index in self._copies]
        if not streams:
            return
        try:
            for packet in self._source.demux(*streams):
                if packet.size and not (packet.pts is None and packet.dts is None):
                    yield packet
        except FFmpegError as error:
            self.lost.append(f"sound and subtitles end early ({reason(error)})")

    def _mux(self, packet: Any, stream: Any) -> None:
        packet.stream = stream
        self._result.mux_one(packet)


class _Packets:
    """The encoded frames of all segments, with their true times."""

    def __init__(self, segments: Sequence[Path], times: Times, time_base: Fraction) -> None:
        self._segments, self._times, self._base = segments, times, time_base

    def __iter__(self) -> Iterator[Any]:
        delay = max(_reordering(ranks) for _, ranks in self._read())
        start = 0
        for packets, ranks in self._read():
            for place, (packet, rank) in enumerate(zip(packets, ranks, strict=True)):
                packet.time_base = self._base
                packet.pts = self._times.starts[start + rank]
                packet.dts = self._decoding_time(start + place - delay)
                packet.duration = self._times.duration(start + rank)
                yield packet
            start += len(packets)

    def _read(self) -> Iterator[tuple[list[Any], list[int]]]:
        """Every segment's packets as they are decoded, and the places at which they are shown."""
        for path in self._segments:
            with open_container(path) as container:
                packets = [packet for packet in container.demux() if packet.size]
                order = sorted(range(len(packets)), key=lambda place: packets[place].pts)
                ranks = [0] * len(packets)
                for rank, place in enumerate(order):
                    ranks[place] = rank
                yield packets, ranks

    def _decoding_time(self, place: int) -> int:
        """The time of the frame shown so many places later; before the first, evenly spaced."""
        if place >= 0:
            return self._times.starts[place]
        return self._times.starts[0] + place * self._times.duration(0)


def _reordering(ranks: Sequence[int]) -> int:
    """How many frames are decoded ahead of those that are shown before them."""
    return max((place - rank for place, rank in enumerate(ranks)), default=0)


def _describe_like(original: Any, stream: Any) -> None:
    """Language, title, handler and use of a stream."""
    stream.metadata.update(original.metadata)
    for key in ("encoder", "ENCODER", "DURATION"):
        stream.metadata.pop(key, None)
    stream.disposition = original.disposition.value


def _moment(packet: Any) -> Fraction:
    """When a packet is needed, in seconds."""
    time = packet.dts if packet.dts is not None else packet.pts
    return time * packet.time_base
