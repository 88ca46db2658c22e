"""The search that all detectors share: which windows of a frame are looked at, and how turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ...errors import SettingError
from ...runtime import Runtime
from .. import affine
from ..affine import Affine
from ..types import Faces
from .base import (
    LARGEST_ASPECT,
    Finding,
    WorkingCopy,
    check_request,
    faces_of_frame,
    working_copy,
    working_size,
)
from .judge import (
    TURNED_SCORE,
    centre,
    is_doubtful,
    is_face,
    residual,
    same_face,
    seen_again,
    side,
    without_repeats,
)

TILE_PIXELS = 4_000_000
"""Working pixels of one window; what has more is searched in tiles."""
MOST_PIXELS = 40_000_000
"""Working pixels of all tiles of a frame: the cost stays bounded, whatever size is asked for."""
LARGEST_STEP = 1.5
"""A search at a size that is so much larger needs another one at the usual size."""
LARGEST_ENLARGING = 2.0
"""Of tiles: in more there is nothing to see."""
OVERLAP = 0.25
"""Of two neighbouring tiles, as a share of their side."""
TURNS = (1, 2, 3)
"""Quarter turns that are tried."""
MOST_TURNED_FRAMES = 4
"""A batch of more frames is a clip, whose empty frames are not searched turned."""
MOST_SECOND_LOOKS = 32
"""Doubtful faces of a frame that are looked at again, the most doubtful first."""
SECOND_LOOK_SIDE = 192
"""Working pixels of the window around such a face."""
SECOND_LOOK_REACH = 1.5
"""Side of that window as a multiple of the face's aligned square."""
USUAL_SIDE = 640
"""Working pixels of the shorter side at which large faces are found, if as many are asked for."""


class Window(NamedTuple):
    """A part of a frame, perhaps turned, at the size at which it is searched."""

    frame: int
    left: int
    top: int
    width: int
    height: int
    size: tuple[int, int]
    """Rows and columns of the working copy before it is turned."""
    turns: int = 0
    """Quarter turns of the copy, counter-clockwise."""


class Find(Protocol):
    """What is a detector's own: to look at working copies of one size."""

    def __call__(
        self, count: int, copy: Callable[[int], WorkingCopy], pixels: int, runtime: Runtime, /
    ) -> Iterator[list[Finding]]:
        """Yield what each of `count` copies of so many pixels holds, in pixels of its picture."""
        ...


def search(
    frames: Tensor,
    find: Find,
    *,
    confidence: float,
    min_size: float,
    search_size: int,
    runtime: Runtime | None = None,
) -> Faces:
    """Find the faces of every frame; arguments and errors as of `FaceDetector.detect`.

    Long frames, and searches at a large size, go tile by tile. What was found badly is looked at
    again, upright and in turned copies, and so is a picture in which nothing was found. A picture
    that shows less than a face is seen from afar.
    """
    check_request(frames, confidence, min_size)
    runtime = runtime or Runtime()
    total, height, width = (int(length) for length in frames.shape[:3])
    plans = windows_of(height, width, search_size)
    found: list[list[Finding]] = [[] for _ in range(total)]
    for index, plan in enumerate(plans):
        windows = [window._replace(frame=frame) for frame in range(total) for window in plan]
        share = runtime.share(index / len(plans), (index + 1) / len(plans))
        for window, findings in _look(frames, windows, find, share):
            found[window.frame] += [
                finding for finding in findings if not _is_cut(finding, window, height, width)
            ]
    if total <= MOST_TURNED_FRAMES:
        _look_turned(frames, found, plans[0][0], find, runtime.share(1.0, 1.0))
    found = _look_again(frames, found, find, runtime.share(1.0, 1.0))
    if total <= MOST_TURNED_FRAMES:
        afar = _afar(height, width, min(search_size, USUAL_SIDE))
        _look_from_afar(frames, found, afar, find, runtime.share(1.0, 1.0))
    faces = [without_repeats(filter(is_face, findings)) for findings in found]
    return Faces(
        tuple(faces_of_frame(each, height, width, min_size) for each in faces),
        height,
        width,
        misfits=sum(not is_face(finding) for findings in found for finding in findings),
    )


def windows_of(height: int, width: int, search_size: int) -> list[list[Window]]:
    """Windows that cover a frame: the whole frame, and tiles of one size where that is not enough.

    Args:
        height: of the frame.
        width: of the frame.
        search_size: pixels of the shorter side of the frame when it is searched.

    Raises:
        SettingError: the search size is not positive.
    """
    if search_size < 1:
        raise SettingError(f"the search size is {search_size}: it must be at least 1 pixel")
    scale = min(
        search_size / min(height, width), (MOST_PIXELS / (height * width)) ** 0.5, LARGEST_ENLARGING
    )
    longest = (TILE_PIXELS**0.5) / scale  # of a tile, in pixels of the frame
    is_long = max(height, width) > LARGEST_ASPECT * min(height, width)
    if not is_long and height * width <= longest**2:
        whole = [
            [Window(0, 0, 0, width, height, working_size(height, width, side))]
            for side in (USUAL_SIDE, search_size)
        ]
        return whole if search_size >= LARGEST_STEP * USUAL_SIDE else whole[1:]
    rows, columns = (round(min(length, longest)) for length in (height, width))
    size = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    tiles = [
        Window(0, left, top, columns, rows, size)
        for top in _starts(height, rows)
        for left in _starts(width, columns)
    ]
    # The whole frame too: a face may be larger than what the tiles have in common.
    side = working_size(height, width, min(search_size, USUAL_SIDE))
    return [[Window(0, 0, 0, width, height, side)], tiles]


def _starts(length: int, tile: int) -> list[int]:
    """Where tiles of a length begin, evenly spread and overlapping."""
    if tile >= length:
        return [0]
    steps = -(-(length - tile) // max(1, round(tile * (1 - OVERLAP))))
    return [round(index * (length - tile) / steps) for index in range(steps + 1)]


def _look(
    frames: Tensor, windows: Sequence[Window], find: Find, runtime: Runtime
) -> Iterator[tuple[Window, list[Finding]]]:
    """Search windows of one size; what is found is in pixels of the frame."""
    if not windows:
        return iter(())
    rows, columns = windows[0].size
    copies = find(
        len(windows), lambda index: _copy_of(frames, windows[index]), rows * columns, runtime
    )
    return zip(windows, copies, strict=True)


def _copy_of(frames: Tensor, window: Window) -> WorkingCopy:
    """The working copy of a window, which lies inside its frame or has a margin around it."""
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    if min(window.left, window.top) < 0:
        return _copy_from_afar(frames, window)
    copy = working_copy(frames[window.frame, rows, columns], window.size)
    to_frame = affine.compose(affine.translation(window.left, window.top), copy.to_picture)
    turned = torch.rot90(copy.pixels, window.turns, (1, 2))
    return WorkingCopy(turned, affine.compose(to_frame, _turn_back(window.size, window.turns)))


def _copy_from_afar(frames: Tensor, window: Window) -> WorkingCopy:
    """The working copy of a whole frame and its margin, which repeats the frame's edges."""
    rows, columns = window.size
    across, down = columns // 4, rows // 4
    copy = working_copy(frames[window.frame], (rows - 2 * down, columns - 2 * across))
    pixels = functional.pad(copy.pixels[None], (across, across, down, down), mode="replicate")[0]
    return WorkingCopy(pixels, affine.compose(copy.to_picture, affine.translation(-across, -down)))


def _turn_back(size: tuple[int, int], turns: int) -> Affine:
    """From pixels of a turned copy to those of the upright one, of `size` rows and columns."""
    rows, columns = size
    back = affine.IDENTITY
    for _ in range(turns):
        quarter: Affine = ((0.0, -1.0, columns - 1.0), (1.0, 0.0, 0.0))
        back = affine.compose(back, quarter)
        rows, columns = columns, rows
    return back


def _is_cut(finding: Finding, window: Window, height: int, width: int) -> bool:
    """Whether a tile's edge inside the frame cuts the face, which its neighbour has whole."""
    box = finding.box
    right, bottom = window.left + window.width, window.top + window.height
    return (
        (window.left > 0 and box.left <= window.left)
        or (window.top > 0 and box.top <= window.top)
        or (right < width and box.right >= right - 1)
        or (bottom < height and box.bottom >= bottom - 1)
    )


def _look_turned(
    frames: Tensor, found: list[list[Finding]], whole: Window, find: Find, runtime: Runtime
) -> None:
    """Add what turned copies show of frames in which nothing was found."""
    empty = [frame for frame, findings in enumerate(found) if not findings]
    for turns in TURNS:
        windows = [whole._replace(frame=frame, turns=turns) for frame in empty]
        for window, findings in _look(frames, windows, find, runtime):
            found[window.frame] += [each for each in findings if each.score >= TURNED_SCORE]


def _look_again(
    frames: Tensor, found: list[list[Finding]], find: Find, runtime: Runtime
) -> list[list[Finding]]:
    """What is left of what was found, after a second look at what was found badly."""
    height, width = int(frames.shape[1]), int(frames.shape[2])
    judged: list[list[Finding | None]] = [list(findings) for findings in found]
    for frame, findings in enumerate(found):
        doubtful = sorted(
            (index for index, finding in enumerate(findings) if is_doubtful(finding)),
            key=lambda index: -residual(findings[index].landmarks),
        )
        for index in doubtful[:MOST_SECOND_LOOKS]:
            window = _around(findings[index], frame, height, width)
            if window is not None:
                judged[frame][index] = _second_look(frames, findings[index], window, find, runtime)
    return [[each for each in findings if each is not None] for findings in judged]


def _afar(height: int, width: int, side: int) -> Window:
    """A whole frame in the middle of a margin as wide as half of it."""
    size = working_size(2 * height, 2 * width, side)
    return Window(0, -(width // 2), -(height // 2), 2 * width, 2 * height, size)


def _look_from_afar(
    frames: Tensor, found: list[list[Finding]], afar: Window, find: Find, runtime: Runtime
) -> None:
    """Add faces larger than their frames, in which nothing was found, or a face as large."""
    shorter = min(int(frames.shape[1]), int(frames.shape[2]))
    windows = [
        afar._replace(frame=frame)
        for frame, findings in enumerate(found)
        if not findings or max(side(each.landmarks) for each in findings) >= shorter
    ]
    for window, findings in _look(frames, windows, find, runtime):
        known = list(found[window.frame])
        found[window.frame] += [
            each
            for each in findings
            if side(each.landmarks) >= shorter and not any(same_face(each, k) for k in known)
        ]


def _around(finding: Finding, frame: int, height: int, width: int) -> Window | None:
    """The part of a frame around a face; None if it is none or outside."""
    reach = SECOND_LOOK_REACH * max(side(finding.landmarks), finding.box.size) / 2
    across, down = finding.box.centre
    left, top = max(0, round(across - reach)), max(0, round(down - reach))
    right, bottom = min(width, round(across + reach)), min(height, round(down + reach))
    if right - left < 2 or bottom - top < 2:
        return None
    rows, columns = bottom - top, right - left
    size = working_size(rows, columns, SECOND_LOOK_SIDE)
    return Window(frame, left, top, columns, rows, size)


def _second_look(
    frames: Tensor, finding: Finding, window: Window, find: Find, runtime: Runtime
) -> Finding | None:
    """What a finding is, seen in its own window; None if it is nothing."""
    upright, *turned = (
        [
            each
            for _, findings in _look(frames, [window._replace(turns=turns)], find, runtime)
            for each in findings
            if _is_there(each, finding)
        ]
        for turns in (0, *TURNS)
    )
    return seen_again(finding, upright, list(chain.from_iterable(turned)))


def _is_there(finding: Finding, upright: Finding) -> bool:
    """Whether a face lies where another one was found."""
    across, down = centre(finding.landmarks)
    box = upright.box
    return box.left <= across <= box.right and box.top <= down <= box.bottom
