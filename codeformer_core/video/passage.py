"""The second pass: cut the faces out of a segment's frames, restore them, paint them back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch

from .casting import Cast, Role
from .engine import FaceEngine
from .enlarging import Enlarger
from .guard import Descriptor, IdentityGuard
from .information import Orientation
from .motion import Picture
from .painting import crop_from, paint_face
from .planes import Planes, SampleLayout, read_planes
from .reading import Frame
from .segments import Segment
from .steady import LOOK_AHEAD, SteadyFace

Input = tuple[int, int, Picture]
"""Place of the role, index of the frame, and the crop to restore."""

CLOSER = 0.4
"""How much higher the fidelity is for a face that does not look like itself."""


@dataclass
class _Open:
    """A frame some of whose faces are not there yet."""

    index: int
    planes: Planes
    missing: int
    faces: list[tuple[Role, Picture]] = field(default_factory=list)


class Passage:
    """Restores the faces of one segment, a few frames at a time.

    A face is worked on in order of its frames, and those of all faces go through the network
    together. A frame is painted when all its faces are there.
    """

    def __init__(
        self,
        engine: FaceEngine,
        cast: Cast,
        segment: Segment,
        layout: SampleLayout,
        orientation: Orientation,
        enlarger: Enlarger,
    ) -> None:
        """Prepare for a segment.

        Args:
            engine: restores crops.
            cast: who is restored, and where.
            segment: the frames that are wanted.
            layout: of the frames that come out.
            orientation: how decoded frames are to be turned.
            enlarger: brings them to their size before faces are painted on them.
        """
        self._engine, self._cast, self._enlarger = engine, cast, enlarger
        self._layout, self._orientation = layout, orientation
        self._wanted = range(segment.start, segment.stop)
        self._roles = cast.within(segment.start - LOOK_AHEAD, segment.stop + LOOK_AHEAD)
        self._steady = [self._start(role) for role in self._roles]
        self._guard = None if engine.identity is None else IdentityGuard(engine.identity)
        self._inputs: list[Input] = []
        self._open: deque[_Open] = deque()

    def _start(self, role: Role) -> SteadyFace:
        stop = min(role.track.stop, self._wanted.stop + LOOK_AHEAD)
        settings = self._engine.settings
        return SteadyFace(settings.steadiness, self._cast.times, self._wanted, stop)

    def frames(self, frames: Iterable[Frame]) -> Iterator[Planes]:
        """Restore the segment.

        Args:
            frames: its frames, with LOOK_AHEAD more before and after, where there are.

        Yields:
            Its frames in order.
        """
        for frame in frames:
            self._take(frame)
            if len(self._inputs) >= self._engine.at_once:
                self._run()
            yield from self._painted()
        while self._inputs:
            self._run()
        yield from self._painted()

    def _take(self, frame: Frame) -> None:
        """Cut the faces out of the next frame."""
        planes = read_planes(frame.picture, self._layout, self._orientation)
        missing = 0
        for number, role in enumerate(self._roles):
            if not role.track.start <= frame.index < role.track.stop:
                continue
            placement = role.placement(frame.index, self._cast.survey)
            crop = None
            if placement is not None and not frame.damaged:
                crop = crop_from(planes, placement, self._engine.size).contiguous().numpy()
                missing += 1
            self._steady[number].take(frame.index, crop)
            self._collect(number)
        if frame.index in self._wanted:
            self._open.append(_Open(frame.index, planes, missing))

    def _collect(self, number: int) -> None:
        self._inputs += [(number, *each) for each in self._steady[number].inputs()]

    def _run(self) -> None:
        """Restore all crops that are ready."""
        inputs, self._inputs = self._inputs, []
        results = self._engine.restore(
            [crop for _, _, crop in inputs],
            [self._roles[number].track.gray for number, _, _ in inputs],
            [self._engine.fidelity(self._roles[number].person) for number, _, _ in inputs],
            [self._roles[number].person for number, _, _ in inputs],
        )
        if self._guard is not None:
            results = self._guarded(self._guard, inputs, results)
        for (number, index, _), result in zip(inputs, results, strict=True):
            self._steady[number].give(index, result)
        for number in {number for number, _, _ in inputs}:
            self._hand_out(number)

    def _guarded(
        self, guard: IdentityGuard, inputs: list[Input], results: list[Picture | None]
    ) -> list[Picture | None]:
        """The results; a face that does not look like itself is restored closer to its input."""
        good = {place: result for place, result in enumerate(results) if result is not None}
        found = guard.describe(list(good.values()), self._engine.runtime)
        for place, descriptor in zip(good, found, strict=True):
            guard.remember(inputs[place][0], descriptor)
        for place, descriptor in zip(good, found, strict=True):
            number, _, crop = inputs[place]
            if guard.has_strayed(number, descriptor):
                role = self._roles[number]
                fidelity = min(1.0, self._engine.fidelity(role.person) + CLOSER)
                (closer,) = self._engine.restore(
                    [crop], [role.track.gray], [fidelity], [role.person]
                )
                if closer is not None and self._is_nearer(guard, number, closer, descriptor):
                    results[place] = closer
                    self._engine.helped += 1
        return results

    def _is_nearer(
        self, guard: IdentityGuard, number: int, closer: Picture, before: Descriptor
    ) -> bool:
        (after,) = guard.describe([closer], self._engine.runtime)
        return guard.distance(number, after) < guard.distance(number, before)

    def _hand_out(self, number: int) -> None:
        """Give the steady results of a face to their frames."""
        frames = {each.index: each for each in self._open}
        for index, picture in self._steady[number].results():
            frames[index].missing -= 1
            self._engine.failed += picture is None
            if picture is not None:
                self._engine.restored += 1
                frames[index].faces.append((self._roles[number], picture))

    def _painted(self) -> Iterator[Planes]:
        """The frames at the front whose faces are all there."""
        while self._open and self._open[0].missing == 0:
            frame = self._open.popleft()
            planes = self._enlarger.frame(frame.planes, self._engine.runtime)
            for role, picture in frame.faces:
                self._paint(planes, frame.index, role, picture)
            yield planes

    def _paint(self, planes: Planes, index: int, role: Role, picture: Picture) -> None:
        survey, engine = self._cast.survey, self._engine
        placement = role.placement(index, survey)
        assert placement is not None  # only such faces were cut out
        pixels = torch.from_numpy(picture)
        largest = role.largest * planes.height / survey.height
        paint_face(
            planes,
            self._enlarger.face(pixels[..., :3].clamp(0, 1), largest, engine.runtime),
            placement,
            engine.settings.paste,
            opacity=role.opacity(index, self._cast.times),
            mask=pixels[..., 3] if pixels.shape[-1] > 3 else None,
        )
