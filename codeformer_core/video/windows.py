"""The frames of segments with those around them, decoded from the nearest key frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from .information import VideoInformation
from .library import FFmpegError
from .reading import Frame, Reading, decoded, open_container, read_frames
from .segments import Segment
from .steady import LOOK_AHEAD
from .survey import Survey

MARGIN = 1.0
"""Seconds before the first frame that a key frame is looked for: after some, the next few frames
still show what was before them."""


def windows(
    information: VideoInformation, survey: Survey, segments: Sequence[Segment]
) -> Iterator[tuple[Segment, Iterator[Frame]]]:
    """Every segment with its frames and LOOK_AHEAD more on both sides.

    What lies between segments is left out; segments that follow each other are read once.
    """
    frames: Iterator[Frame] = iter(())
    recent: deque[Frame] = deque(maxlen=2 * LOOK_AHEAD)
    before = -1
    for segment in segments:
        if segment.start != before:
            frames = frames_from(information, survey, max(0, segment.start - LOOK_AHEAD))
            recent.clear()
        yield segment, _window(frames, recent, segment)
        before = segment.stop


def _window(frames: Iterator[Frame], recent: deque[Frame], segment: Segment) -> Iterator[Frame]:
    start, stop = segment.start - LOOK_AHEAD, segment.stop + LOOK_AHEAD
    yield from [frame for frame in recent if frame.index >= start]
    while not (recent and recent[-1].index >= stop - 1):
        frame = next(frames, None)
        if frame is None:
            return
        recent.append(frame)
        if frame.index >= start:
            yield frame


def frames_from(information: VideoInformation, survey: Survey, start: int) -> Iterator[Frame]:
    """Decode a video from a frame on; what comes is the same as from its beginning.

    There reading begins after all if something is wrong with the file, and where a frame is not the
    one that should come.

    Args:
        information: the video.
        survey: what the first pass found.
        start: index of the first frame.

    Raises:
        VideoError: the file cannot be opened.
    """
    starts, index = survey.times.starts, start
    seeks = start > 0 and survey.is_searchable
    pictures = _sought(information, starts[start]) if seeks else iter(())
    for picture in pictures:
        if index == len(starts) or picture.pts != starts[index] or picture.is_corrupt:
            break
        yield Frame(index, starts[index], picture, damaged=False)
        index += 1
    if index < len(starts):
        yield from (frame for frame in read_frames(information) if frame.index >= index)


def _sought(information: VideoInformation, time: int) -> Iterator[Any]:
    """Decoded pictures from a time on; none if the file cannot be searched."""
    with open_container(information.path) as container:
        stream = container.streams[information.stream]
        try:
            container.seek(time - round(MARGIN / information.time_base), stream=stream)
        except FFmpegError:
            return
        for picture in decoded(container, stream, Reading()):
            if picture.pts is None or picture.pts >= time:
                yield picture
