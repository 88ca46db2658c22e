"""Follow every face through its shot: which findings are of one person.

Findings are compact rows of numbers, so that a film of two hours takes little memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import PictureError
from ..faces import Box, Face, Landmarks, place
from ..faces.colour import GRAY_VARIANCE
from ..faces.types import TEMPLATE_SIZE

Array = NDArray[np.float32]

LONGEST_GAP = 0.4
"""Seconds without a finding that are filled; after more, a face that comes back is a new track."""

REACH = 0.6
"""Landmarks that are further off than this share of the face's size are of another face."""

REACH_A_SECOND = 2.0
"""By how much more a face may have moved for every second it was not found."""

DOUBT = 0.3
"""Two candidates are hard to tell apart if their distances differ by less."""

OTHER_PERSON = 0.75
"""Where there is doubt, descriptors further apart than this are never joined. (The same person is
nearer than 0.6; blur moves descriptors.)"""

IDENTITY_WEIGHT = 1.0
"""Of the descriptors' distance against that of the landmarks, in doubt."""

VELOCITY_MEMORY = 0.7
"""Share of the old velocity that the next finding leaves."""

SHORTEST_STEP = 0.02
"""Seconds that a velocity is measured over at least: in less, jitter looks like speed."""

SHORTEST = 0.1
"""Seconds; a shorter track is taken for a mistake of the detector, unless its shot is as short."""


@dataclass(frozen=True)
class Finding:
    """A face in a frame."""

    row: int
    """Its place among all findings."""
    points: Array
    """(5, 2) landmarks in display pixels."""
    box: Array
    """(4,) left, top, right, bottom."""
    score: float
    """The detector's confidence, 0 to 1."""
    descriptor: Array | None = None
    """(128,) of the identity network, where it was asked."""

    @property
    def size(self) -> float:
        """Side of the face, from its landmarks: a box may be cut off at the picture's edge."""
        return (
            float(np.linalg.norm(self.points - self.points.mean(0), axis=1).mean()) * SPREAD_TO_SIZE
        )


SPREAD_TO_SIZE = 3.5
"""Side of a face against the mean distance of its landmarks from their middle."""


class Findings:
    """The faces found in every frame of a video, in 64 bytes each."""

    def __init__(self) -> None:
        """Start with no frame."""
        self._numbers = array("f")
        self._ends = array("Q")
        self._descriptors: dict[int, Array] = {}

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._ends)

    def add_frame(
        self,
        faces: Sequence[Face],
        colours: Sequence[float] | None = None,
        descriptors: Mapping[int, Array] | None = None,
        grow: float = 1.0,
    ) -> None:
        """Note the faces of the next frame.

        Args:
            faces: what was found in it.
            colours: how much the colours of each face vary.
            descriptors: what the identity network says of some of them.
            grow: how much larger the displayed picture is than the one they were found in.
        """
        start = self._ends[-1] if self._ends else 0
        for face, colour in zip(faces, colours or [1.0] * len(faces), strict=True):
            box = face.box
            places = [*chain(*face.landmarks.points), box.left, box.top, box.right, box.bottom]
            self._numbers.extend((number + 0.5) * grow - 0.5 for number in places)
            self._numbers.extend((face.score, colour))
        for number, descriptor in (descriptors or {}).items():
            self._descriptors[start + number] = descriptor
        self._ends.append(start + len(faces))

    def frame(self, index: int) -> list[Finding]:
        """The faces of a frame."""
        start = self._ends[index - 1] if index else 0
        rows = range(start, self._ends[index])
        columns = zip(*self.columns(rows), strict=True)
        return [
            Finding(row, points, box, float(score), self._descriptors.get(row))
            for row, (points, box, score, _) in zip(rows, columns, strict=True)
        ]

    def columns(self, rows: Sequence[int]) -> tuple[Array, Array, Array, Array]:
        """Landmarks (n, 5, 2), boxes (n, 4), scores and colours (n,) of some findings."""
        table = np.frombuffer(self._numbers, np.float32).reshape(-1, NUMBERS)
        table = table[np.asarray(rows, np.int64)]
        return table[:, :10].reshape(-1, 5, 2), table[:, 10:14], table[:, 14], table[:, 15]


NUMBERS = 16
"""Of a finding: five landmarks, a box, a score, the variance of its colours."""


@dataclass(frozen=True)
class Track:
    """One face in consecutive frames of a shot, without gaps."""

    start: int
    """Index of its first frame."""
    points: Array
    """(n, 5, 2) landmarks, those of frames without a finding interpolated."""
    boxes: Array
    """(n, 4)."""
    scores: Array
    """(n,) confidence; 0 where nothing was found."""
    descriptor: Array | None
    """(128,) mean of what the identity network saw."""
    gray: bool
    """Whether it has no colour: decided once, or it would change from frame to frame."""
    begins_shot: bool
    """Whether the shot begins with it: then it does not fade in."""
    ends_shot: bool
    """Whether the shot ends with it: then it does not fade out."""

    @property
    def stop(self) -> int:
        """Index after its last frame."""
        return self.start + len(self.scores)

    def face(self, index: int, number: int, height: int, width: int) -> Face | None:
        """The face in a frame; None where its landmarks show no shape.

        Args:
            index: of the frame.
            number: of the track.
            height: of the displayed picture in pixels.
            width: of the displayed picture.
        """
        at = index - self.start
        landmarks = Landmarks(*((float(x), float(y)) for x, y in self.points[at]))
        try:
            placement = place(landmarks, TEMPLATE_SIZE, height, width)
        except PictureError:
            return None
        box = Box(*(float(edge) for edge in self.boxes[at]))
        return Face(box, float(self.scores[at]), landmarks, placement, number)


def track_faces(
    findings: Findings, times: Sequence[float], cuts: Sequence[int] = ()
) -> list[Track]:
    """Join the findings of consecutive frames to tracks.

    Args:
        findings: the faces of every frame.
        times: when each frame is shown, in seconds, rising.
        cuts: frames with which a new shot begins.

    Returns:
        The tracks in the order in which they begin.
    """
    edges = sorted({0, len(findings), *cuts})
    tracks: list[Track] = []
    for start, stop in pairwise(edges):
        tracks += _Shot(findings, start, stop, times).follow()
    return tracks


class _Shot:
    """Follows the faces of one shot."""

    def __init__(self, findings: Findings, start: int, stop: int, times: Sequence[float]) -> None:
        self._findings, self._times = findings, times
        self._start, self._stop = start, stop

    def follow(self) -> list[Track]:
        paths: list[_Path] = []
        for index in range(self._start, self._stop):
            time, findings = self._times[index], self._findings.frame(index)
            active = [path for path in paths if path.goes_on(index, time)]
            pairs = _pair(active, findings, time)
            for path, finding in pairs:
                path.add(index, time, finding)
            taken = {finding.row for _, finding in pairs}
            paths += [_Path(index, time, each) for each in findings if each.row not in taken]
        return [self._track(path) for path in paths if self._lasts(path)]

    def _lasts(self, path: _Path) -> bool:
        length = self._times[self._stop - 1] - self._times[self._start]
        return path.last_time - path.first_time >= min(SHORTEST, length)

    def _track(self, path: _Path) -> Track:
        """The finished track, its gaps filled."""
        known = np.asarray(path.indices)
        first, last = int(known[0]), int(known[-1])
        points, boxes, found, colours = self._findings.columns(path.rows)
        every = np.arange(first, last + 1)
        scores = np.zeros(len(every), np.float32)
        scores[known - first] = found
        return Track(
            first,
            _filled(every, known, points.reshape(-1, 10)).reshape(-1, 5, 2),
            _filled(every, known, boxes),
            scores,
            path.descriptor,
            bool(np.median(colours) <= GRAY_VARIANCE),
            first == self._start,
            last + 1 == self._stop,
        )


class _Path:
    """A track that is being followed."""

    def __init__(self, index: int, time: float, finding: Finding) -> None:
        self.indices, self.rows = array("Q"), array("Q")
        self.first_time = time
        self._velocity = np.zeros(2, np.float32)
        self._described, self._descriptors = 0, np.zeros(1, np.float32)
        self._keep(index, time, finding)

    def add(self, index: int, time: float, finding: Finding) -> None:
        """Go on with the next finding."""
        seconds = max(time - self.last_time, SHORTEST_STEP)
        moved = (finding.points - self.newest.points).mean(0) / seconds
        share = VELOCITY_MEMORY if len(self.rows) > 1 else 0.0
        self._velocity = share * self._velocity + (1 - share) * moved
        self._keep(index, time, finding)

    def _keep(self, index: int, time: float, finding: Finding) -> None:
        self.indices.append(index)
        self.rows.append(finding.row)
        self.last_time, self.newest = time, finding
        if finding.descriptor is not None:
            self._described += 1
            self._descriptors = self._descriptors + finding.descriptor

    @property
    def descriptor(self) -> Array | None:
        """Mean of the descriptors."""
        mean = self._descriptors / max(1, self._described)
        return mean.astype(np.float32) if self._described else None

    def goes_on(self, index: int, time: float) -> bool:
        """Whether the face may go on: it was seen in the frame before, or not long ago."""
        return self.indices[-1] == index - 1 or time - self.last_time <= LONGEST_GAP

    def distance(self, finding: Finding, time: float) -> float:
        """How far the landmarks are from where they are expected, as a share of the face's size."""
        gap = time - self.last_time
        size = max(1e-3, min(self.newest.size, finding.size))
        expected = self.newest.points + (self._velocity * gap).clip(-size, size)
        apart = np.linalg.norm(expected - finding.points, axis=1).mean()
        return float(apart / size) / (1 + REACH_A_SECOND * gap)


def _filled(every: NDArray[np.int64], known: NDArray[np.uint64], values: Array) -> Array:
    """Values of every frame from those of known ones, linearly."""
    columns = [np.interp(every, known, column) for column in values.T]
    return np.stack(columns, 1).astype(np.float32)


def _pair(
    paths: Sequence[_Path], findings: Sequence[Finding], time: float
) -> list[tuple[_Path, Finding]]:
    """Who goes on with which finding: the nearest first, by descriptors where that is in doubt."""
    distances = np.array(
        [[path.distance(finding, time) for finding in findings] for path in paths]
    ).reshape(len(paths), len(findings))
    candidates = [tuple(pair) for pair in np.argwhere(distances < REACH)]
    costs = {
        (row, column): distances[row, column]
        + _identity_cost(paths[row], findings[column], _in_doubt(distances, row, column))
        for row, column in candidates
    }
    pairs: list[tuple[_Path, Finding]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for (row, column), cost in sorted(costs.items(), key=lambda item: item[1]):
        if np.isfinite(cost) and row not in rows and column not in columns:
            pairs.append((paths[row], findings[column]))
            rows.add(row)
            columns.add(column)
    return pairs


def _in_doubt(distances: NDArray[np.float64], row: int, column: int) -> bool:
    """Whether the face or the finding has another candidate that is nearly as near."""
    limit = min(REACH, distances[row, column] + DOUBT)
    rivals = (distances[row] < limit).sum() + (distances[:, column] < limit).sum()
    return bool(rivals > 2)


def _identity_cost(path: _Path, finding: Finding, doubt: bool) -> float:
    known = path.descriptor
    if not doubt or finding.descriptor is None or known is None:
        return 0.0
    apart = float(np.linalg.norm(known - finding.descriptor))
    return np.inf if apart > OTHER_PERSON else IDENTITY_WEIGHT * apart
