"""Read videos frame by frame with PyAV: times as they are, broken frames named."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import VideoError
from .information import Colour, Orientation, PixelFormat, VideoInformation
from .library import FFmpegError, av, reason

ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""FFmpeg's own decoders of these drop the opacity."""

UNIT = 1 << 16
"""One in a display matrix."""

COVER = 0x0400
"""FFmpeg's mark of a picture that is attached to the sound."""


@dataclass
class Frame:
    """A decoded frame."""

    index: int
    """Its place, from 0."""
    time: int
    """When it is shown, in ticks; rises from frame to frame."""
    picture: Any
    """PyAV's frame, stored as the file has it: not turned upright."""
    damaged: bool
    """Whether parts of it were lost or guessed."""


@dataclass
class Reading:
    """What became known while the frames were read."""

    last_duration: int = 0
    """Ticks that the last frame is shown."""
    notes: list[str] = field(default_factory=list)
    """What is wrong with the file, in the user's words."""


def inspect_video(path: str | Path) -> VideoInformation:
    """Look at a video's headers and its first frame.

    Args:
        path: the file.

    Raises:
        VideoError: it cannot be read, or holds no moving picture.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = moving_pictures(container, path)
        reading = Reading()
        first = next(decoded(container, stream, reading), None)
        if first is None:
            raise VideoError(
                f"{path}: no frame can be decoded"
                + (f" ({reading.notes[0]})" if reading.notes else "")
            )
        return _information(path, stream, first)


def read_frames(information: VideoInformation, reading: Reading | None = None) -> Iterator[Frame]:
    """Decode all frames of a video, one after the other.

    A packet that cannot be decoded is named in `reading.notes` and left out; times that do not
    rise are made to.

    Args:
        information: the video.
        reading: filled with what becomes known.

    Raises:
        VideoError: the file cannot be opened.
    """
    reading = Reading() if reading is None else reading
    with open_container(information.path) as container:
        stream = container.streams[information.stream]
        last = -1
        moments = _moments(decoded(container, stream, reading), information, reading)
        for index, (time, picture) in enumerate(moments):
            last = time
            yield Frame(index, time, picture, bool(picture.is_corrupt))
        if last >= 0 and reading.last_duration <= 0:
            reading.last_duration = information.frame_ticks


def frame_at(information: VideoInformation, time: int) -> Any:
    """The decoded frame that is shown at a time in ticks; None if it cannot be found again."""
    with open_container(information.path) as container:
        stream = container.streams[information.stream]
        try:
            container.seek(time, stream=stream)
            for picture in container.decode(stream):
                if picture.pts is not None and picture.pts >= time:
                    return picture
        except FFmpegError:  # of a damaged file, which the survey has told about
            return None
    return None


def open_container(path: Path) -> Any:
    """Open a file for reading.

    Raises:
        VideoError: it is missing, empty or of no known kind.
    """
    try:
        return av.open(str(path), metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {reason(error)}") from error


def moving_pictures(container: Any, path: Path) -> Any:
    """The stream to restore: the first that is no cover picture.

    Raises:
        VideoError: there is none.
    """
    for stream in container.streams.video:
        if not is_cover(stream):
            return stream
    raise VideoError(f"{path}: there are no moving pictures in it, so there is nothing to restore")


def is_cover(stream: Any) -> bool:
    """Whether a stream is a still picture that players show beside the sound."""
    return bool(stream.disposition.value & COVER)


def describe_format(name: str) -> PixelFormat:
    """Describe a pixel format by FFmpeg's name of it."""
    described = av.VideoFormat(name, 16, 16)
    count = len(described.components)
    gray = count <= 2 and not described.has_palette
    shared = None if gray or described.is_rgb or count < 3 else described.components[1]
    return PixelFormat(
        name,
        max((each.bits for each in described.components), default=8),
        count in (2, 4) or name.startswith("pal"),
        described.is_rgb or described.has_palette,
        gray,
        16 // shared.width if shared else 1,
        16 // shared.height if shared else 1,
    )


def _information(path: Path, stream: Any, first: Any) -> VideoInformation:
    orientation = orientation_of(first)
    width, height = first.width, first.height
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if orientation.transpose:
        width, height, aspect = height, width, 1 / aspect
    base = stream.time_base or Fraction(1, 90_000)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return VideoInformation(
        path,
        stream.index,
        width,
        height,
        base,
        rate,
        stream.frames or int((stream.duration or 0) * base * rate),
        _codec_name(stream),
        describe_format(first.format.name),
        _colour(stream, first),
        aspect,
        orientation,
        bool(first.interlaced_frame),
    )


def _codec_name(stream: Any) -> str:
    """The codec rather than the library that decodes it."""
    return getattr(stream.codec_context.codec, "canonical_name", stream.codec_context.codec.name)


def _colour(stream: Any, first: Any) -> Colour:
    context = stream.codec_context
    full = first.format.name.startswith("yuvj")
    return Colour(
        2 if full else int(first.color_range or context.color_range or 0),
        0 if describe_format(first.format.name).rgb else int(first.colorspace),
        int(context.color_primaries),
        int(context.color_trc),
    )


def orientation_of(picture: Any) -> Orientation:
    """How a decoded frame is to be turned, from its display matrix; turns by 90 degrees only."""
    for data in picture.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return orientation_of_matrix(struct.unpack("<9i", bytes(data)[:36]))
    return Orientation()


def orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    """Read a display matrix: (x, y) is shown at (a x + c y, b x + d y)."""
    a, b, c, d = (matrix[place] / UNIT for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


def turned(samples: NDArray[Any], orientation: Orientation) -> NDArray[Any]:
    """Rows and columns of a stored picture, (H, W) or (H, W, C), as they stand upright."""
    samples = samples.swapaxes(0, 1) if orientation.transpose else samples
    rows = slice(None, None, -1 if orientation.mirror_y else 1)
    return samples[rows, :: -1 if orientation.mirror_x else 1]


def decoded(container: Any, stream: Any, reading: Reading) -> Iterator[Any]:
    """Every frame from here on that can be decoded, in the order in which they are shown."""
    decode, failures = _decoder(stream), 0
    latest, undecoded = -1, set[int]()
    for packet in _packets(container, stream, reading):
        if packet.pts is not None:
            undecoded.add(packet.pts)
            if packet.pts > latest:
                latest, reading.last_duration = packet.pts, packet.duration or 0
        try:
            for picture in decode(packet):
                undecoded.discard(picture.pts)
                yield picture
        except FFmpegError:
            failures += 1
    if failures:
        places = [float(time * stream.time_base) for time in sorted(undecoded)]
        reading.notes.append(_damage(failures, places))


def _damage(failures: int, places: list[float]) -> str:
    """Where frames are missing. Which packet a decoder fails on is of no use: it runs ahead."""
    named = ", ".join(f"{place:.2f} s" for place in places[:MOST_NAMED])
    where = f", at {named}" if named and len(places) <= 2 * failures else ""
    return f"damaged and left out: {failures} frames that cannot be decoded{where}"


MOST_NAMED = 5
"""Of the frames that cannot be decoded."""


def _decoder(stream: Any) -> Any:
    """What turns packets into frames."""
    context: Any = stream.codec_context
    name = ALPHA_DECODERS.get(context.name)
    if name and stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1":
        context = av.CodecContext.create(name, "r")
        context.extradata = stream.codec_context.extradata
    else:
        context.thread_type = "AUTO"

    def decode(packet: Any) -> Any:
        # An empty packet asks for what the decoder still holds.
        return context.decode(packet if packet.size else None)

    return decode


def _packets(container: Any, stream: Any, reading: Reading) -> Iterator[Any]:
    """The packets of a stream and an empty one at the end, also where the file is cut short."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError as error:
            reading.notes.append(f"the file cannot be read to its end ({reason(error)})")
            yield av.Packet()
            return
        yield packet


def _moments(
    pictures: Iterator[Any], information: VideoInformation, reading: Reading
) -> Iterator[tuple[int, Any]]:
    """Every frame with its time; times that are missing or do not rise follow the average rate."""
    last: int | None = None
    mended = 0
    for picture in pictures:
        time = picture.pts
        if time is None:
            time = 0 if last is None else last + information.frame_ticks
        elif last is not None and time <= last:
            mended += 1
            time = last + 1
        yield time, picture
        last = time
    if mended:
        reading.notes.append(f"{mended} frames had times that do not rise; they were moved")
