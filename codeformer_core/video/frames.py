"""Frames of a video that are there as a batch of pictures: restored as steadily as a file is.

Restoring a batch (`pipeline.restore_image`) goes through faces in the order of their frames. What a
face needs of its neighbours is cut out a few frames ahead, and what it gives them is waited for, so
that only a few frames' crops are there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..faces import Face, Faces, crop_face, crop_faces
from ..metrics.identity import IdentityNetwork
from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..pipeline.automatic import Automatic
from ..pipeline.batches import Batch
from ..pipeline.recognition import Recognition, recognise
from ..pipeline.settling import looks, settled_fidelity
from ..runtime import Runtime
from .batches import frame_times, runs_of, smooth_batch
from .motion import Picture
from .past import Past, hand_over, track_window
from .steady import DEFAULT_STABILITY, SEEN_AROUND, Steadiness, SteadyFace

DEFAULT_FPS = 24.0


class SteadyFrames:
    """Makes the faces of consecutive frames steady; of one batch only.

    Args:
        stability: 0 restores every frame by itself, 1 is the steadiest.
        fps: frames a second.
        identity: tells who comes back after a gap or a cut.
        past: that of the batch before this one, where a video comes in several. It is left aside
            if its frames or crops have another size.

    Raises:
        SettingError: the stability or fps is out of range.
    """

    def __init__(
        self,
        stability: float = DEFAULT_STABILITY,
        fps: float = DEFAULT_FPS,
        identity: IdentityNetwork | None = None,
        past: Past | None = None,
    ) -> None:
        self._steadiness = Steadiness.of(stability)
        self._fps, self._identity = fps, identity
        frame_times(0, fps)
        self._before = self._after = past or Past()
        self._earlier: tuple[tuple[Face, ...], ...] = ()
        self._runs: list[_Run] = []
        self._places: list[tuple[_Run, int]] = []

    @property
    def past(self) -> Past:
        """What the next batch is to be given, when all results of this one are there."""
        memories = {run.person: run.face.memory() for run in self._runs if run.is_last}
        return replace(self._after, memories=memories)

    def follow(self, faces: Faces, images: Tensor, runtime: Runtime) -> Faces:
        """The faces that were found, followed from frame to frame, in steady places.

        Args:
            faces: of the frames.
            images: (B, H, W, 3) the frames.
            runtime: where the identity network runs.
        """
        before = self._before = self._before.of_size(faces.height, faces.width)
        tracked = track_window(
            faces, images, before, self._fps, identity=self._identity, runtime=runtime
        )
        steady = smooth_batch(tracked, self._fps, self._steadiness.placement)
        steady = hand_over(steady, before)
        self._after = before.then(tracked, steady, images, self._fps)
        self._earlier = steady.frames[: len(before)]
        return replace(steady, frames=steady.frames[len(before) :])

    def recognise(
        self, network: Restorer, images: Tensor, faces: Faces, runtime: Runtime
    ) -> Recognition:
        """As whom faces are restored; who was seen in earlier windows stays who it was there.

        Args:
            network: knows people, or does not.
            images: (B, H, W, 3) the frames.
            faces: those of them that are restored.
            runtime: where the identity network runs.
        """
        found = recognise(network, images, faces, runtime)
        people = [face.track for face in faces][: len(found.whom)]
        whom = {**dict(zip(people, found.whom, strict=True)), **self._before.whom}
        self._after = replace(self._after, whom=whom)
        return replace(found, whom=tuple(whom[person] for person in people))

    def fidelities(
        self,
        automatic: Automatic,
        images: Tensor,
        faces: Faces,
        network: Restorer,
        adain: bool | None,
        whom: Sequence[Whom],
        runtime: Runtime,
    ) -> Tensor:
        """(N,) for each face the one that suits its person.

        Args:
            automatic: what chooses.
            images: (B, H, W, 3) the frames.
            faces: those of them that are restored.
            network: restores them.
            adain: match colours in the network; None takes its own setting.
            whom: as whom each face is restored; empty where the network knows nobody.
            runtime: where networks run, and where progress goes.
        """
        chosen = dict(self._before.fidelities)
        people = [face.track for face in faces]
        new = [person for person in dict.fromkeys(people) if person not in chosen]
        for place, person in enumerate(new):
            seen = [number for number, each in enumerate(people) if each == person]
            some = faces.take(seen[look] for look in looks(len(seen)))
            crops = crop_faces(images, some, network.size)
            share = runtime.share(place / len(new), (place + 1) / len(new))
            known = whom[seen[0]] if whom else None
            chosen[person] = settled_fidelity(
                network, automatic, crops, adain=adain, whom=known, runtime=share
            )
        self._after = replace(self._after, fidelities=chosen)
        return torch.tensor([chosen[person] for person in people])

    def crops(self, images: Tensor, faces: Faces, size: int) -> Callable[[slice], Tensor]:
        """What gives the crops of some places, (n, size, size, 3), seen through their neighbours.

        They must be asked for in order.

        Args:
            images: (B, H, W, 3) the frames.
            faces: those of them that are restored.
            size: side of the crops.
        """
        start = len(self._earlier)
        every = replace(faces, frames=self._earlier + faces.frames)
        times = frame_times(len(every), self._fps)
        owners: dict[tuple[int, int], _Run] = {}
        for places in runs_of(every):
            seen = {index: every.frames[index][place] for index, place in places if index >= start}
            if seen:
                run = _Run(self._steadiness, times, seen, images, size)
                memory = self._before.memories.get(run.person)
                if memory is not None and memory.side == size and places[0][0] < start:
                    run.face.recall(memory)
                owners |= dict.fromkeys(places, run)
        self._runs = list(dict.fromkeys(owners.values()))
        self._places = [
            (owners[index, place], index)
            for index in range(start, len(every))
            for place in range(len(every.frames[index]))
        ]

        def take(part: slice) -> Tensor:
            return torch.stack([run.input(index) for run, index in self._places[part]])

        return take

    def results(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, later, with results that neighbours have steadied."""
        waiting: list[Batch] = []  # of one face each, in order
        for batch in batches:
            singles = [_single(batch, at) for at in range(batch.part.start, batch.part.stop)]
            waiting += singles
            for single in singles:
                run, index = self._places[single.part.start]
                run.give(index, None if single.failed else single.crops[0].cpu().numpy())
            while waiting and (steady := self._finished(waiting[0])) is not None:
                yield steady
                del waiting[0]

    def _finished(self, batch: Batch) -> Batch | None:
        """One face's batch with its steady result; None while its neighbours are not there."""
        run, index = self._places[batch.part.start]
        run.collect()
        if index not in run.ready:
            return None
        picture = run.ready.pop(index)
        if picture is None:
            return batch
        return replace(batch, crops=torch.from_numpy(picture)[None].to(batch.crops))


class _Run:
    """One face in consecutive frames."""

    def __init__(
        self,
        steadiness: Steadiness,
        times: Sequence[float],
        seen: dict[int, Face],
        images: Tensor,
        size: int,
    ) -> None:
        """Prepare for what is seen in which frames; the last of `times` is the last image's."""
        self._seen, self._images, self._size = seen, images, size
        self._first_image = len(times) - len(images)
        self._next, self._stop = min(seen), max(seen) + 1
        self.person, self.is_last = seen[self._next].track, self._stop == len(times)
        self.face = SteadyFace(steadiness, times, range(self._next, self._stop), self._stop)
        self.ready: dict[int, Picture | None] = {}
        self._given: dict[int, Tensor] = {}

    def input(self, index: int) -> Tensor:
        """(S, S, 3): what is to be restored of a frame, the next one or one given before."""
        if index not in self._given:  # where memory ran out, a smaller batch asks again
            self._given[index] = self._next_input(index)
        return self._given[index]

    def give(self, index: int, restored: Picture | None) -> None:
        """Take the result of a frame; None if there is none."""
        del self._given[index]
        self.face.give(index, restored)

    def _next_input(self, index: int) -> Tensor:
        while self._next < min(index + SEEN_AROUND + 1, self._stop):
            placement = self._seen[self._next].placement.rescaled(self._size)
            crop = crop_face(self._images[self._next - self._first_image], placement)
            self.face.take(self._next, crop.cpu().numpy().astype(np.float32))
            self._next += 1
        return torch.from_numpy(next(self.face.inputs())[1])

    def collect(self) -> None:
        """Take the results that are steady by now."""
        self.ready |= dict(self.face.results())


def _single(batch: Batch, place: int) -> Batch:
    """One face of a batch."""
    at = slice(place - batch.part.start, place - batch.part.start + 1)
    return Batch(
        slice(place, place + 1),
        batch.inputs[at],
        batch.crops[at],
        tuple(failed for failed in batch.failed if failed == place),
        fidelity=batch.fidelity[at],
    )
