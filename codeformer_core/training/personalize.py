"""From a few photos of one person to an adapter: train, look, stop in time."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError, SettingError
from ..files import file_sha256
from ..models import load_network
from ..networks.low_rank import LowRank, LowRanks
from ..people import Person
from ..people.adapters import Adapter, described
from ..people.bases import base_sample
from ..runtime import Runtime
from .operations import OPERATIONS
from .personal import Learnt, Look, PersonalSettings, PersonalTraining, stopped
from .run_folder import RunFolder, State

FEWEST_PHOTOS, MOST_PHOTOS = 3, 20
MEMORY_OF_GRADIENTS = 4.0
"""Times what restoring takes."""
SAME = 5e-3
"""Numbers of descriptors differ by less between devices, and by more between photos."""

OnLook = Callable[[Look], None]


def personalize(
    base: Path,
    person: Person,
    *,
    others: Tensor | None = None,
    settings: PersonalSettings | None = None,
    folder: Path | None = None,
    minutes: float = 30.0,
    stop: threading.Event | None = None,
    on_look: OnLook | None = None,
    device: torch.device | str = "cpu",
    runtime: Runtime | None = None,
) -> Adapter:
    """Make an adapter.

    Args:
        base: file of a CodeFormer of any size.
        person: 3 to 20 good photos of somebody.
        others: (M, S, S, 3) aligned faces of other people, on whom the model shall stay as it is;
            without them it is held to that on bent copies of the person's.
        settings: how it learns.
        folder: keeps what is needed to go on after a break; goes on from there if it does.
        minutes: after which it stops learning.
        stop: the same, as soon as it is set.
        on_look: told how the held-back photos fare.
        device: where the network is put, unless the runtime knows better.
        runtime: where it runs; its progress counts steps, and may raise to break off.

    Returns:
        The adapter that restored held-back photos best.

    Raises:
        CheckpointError: the base is damaged or no CodeFormer, or the folder is of another run.
        OutOfMemoryError: there is no room even for one face.
        SettingError: too few or too many photos.
    """
    if not FEWEST_PHOTOS <= len(person.crops) <= MOST_PHOTOS:
        raise SettingError(
            f"there are {len(person.crops)} photos: {FEWEST_PHOTOS} to {MOST_PHOTOS} are needed"
        )
    settings, runtime = settings or PersonalSettings(), runtime or Runtime()
    # A host calls nodes where no gradients can be had, not even later.
    with torch.inference_mode(False), torch.enable_grad():
        network = load_network(base, operations=OPERATIONS, device=device, dtype=torch.float32)
        sample = base_sample(network)
        bytes_per_face = MEMORY_OF_GRADIENTS * network.bytes_per_face
        micro_batch = min(settings.batch_size, runtime.batch_size(network, bytes_per_face))
        runtime.load(network, bytes_per_face * micro_batch)
        network.to(runtime.device(network))
        others = torch.zeros(0, 1, 1, 3) if others is None else others.clone()
        training = PersonalTraining(
            network, person.crops.clone(), others, settings, micro_batch=micro_batch
        )
        about = {
            "settings": asdict(settings),
            "base": file_sha256(base),
            "photos": person.descriptors.clone(),
            "others": others.mean((1, 2, 3)),
        }
        run = _Run(training, folder, about)
        learnt = run.learn(60 * minutes, stop or threading.Event(), on_look, runtime)
    adapter = Adapter(learnt.changes, sample, person.descriptors)
    return described(adapter, base, len(person.crops))


def forget(folder: Path) -> None:
    """Remove what a finished run kept to go on from."""
    RunFolder(folder).state.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class _Run:
    """A training, and what a later one needs to go on."""

    def __init__(
        self, training: PersonalTraining, folder: Path | None, about: dict[str, Any]
    ) -> None:
        self.training, self.about = training, about
        self.folder = None if folder is None else RunFolder(folder)
        self.step, self.looks = 0, list[Look]()
        self.best: LowRanks = training.changes.state()
        state = self.folder.load() if self.folder else None
        if state is not None:
            self._restore(state)

    def learn(
        self, seconds: float, stop: threading.Event, on_look: OnLook | None, runtime: Runtime
    ) -> Learnt:
        settings, ends = self.training.settings, time.monotonic() + seconds
        if not self.looks:
            self._look(on_look)
        while self.step < settings.steps and not stopped(self.looks, settings.patience):
            if stop.is_set() or time.monotonic() > ends:
                break
            self.training.step(self.step)
            self.step += 1
            if self.step % settings.check_every == 0:
                self._look(on_look)
            runtime.report(self.step, settings.steps)
        if self.looks[-1].step != self.step:
            self._look(on_look)
        runtime.report(settings.steps, settings.steps)
        return Learnt(self.best, tuple(self.looks))

    def _look(self, on_look: OnLook | None) -> None:
        look = self.training.look(self.step)
        if all(look.score < other.score for other in self.looks):
            self.best = self.training.changes.state()
        self.looks.append(look)
        if on_look is not None:
            on_look(look)
        if self.folder is not None:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            self.folder.save_state(self._state())

    def _state(self) -> State:
        return {
            "about": self.about,
            "step": self.step,
            "looks": [tuple(look) for look in self.looks],
            "changes": _plain(self.training.changes.state()),
            "best": _plain(self.best),
            "optimizer": self.training.optimizer.state_dict(),
        }

    def _restore(self, state: State) -> None:
        try:
            if differs := [name for name in self.about if not self._has(state["about"], name)]:
                raise ValueError(f"with other {' and '.join(differs)}")
            self.training.changes.restore(_ranks(state["changes"]))
            self.training.optimizer.load_state_dict(state["optimizer"])
            self.step, self.best = state["step"], _ranks(state["best"])
            self.looks = [Look(*look) for look in state["looks"]]
        except (KeyError, ValueError, RuntimeError, TypeError) as error:
            assert self.folder is not None
            raise CheckpointError(
                f"{self.folder.state}: is of another run ({error}); choose another name for "
                f"this one, or delete {self.folder.path} to start anew"
            ) from error

    def _has(self, about: dict[str, Any], name: str) -> bool:
        """Whether another run was about the same; descriptors and means vary with the device."""
        theirs, ours = about[name], self.about[name]
        if not isinstance(ours, Tensor):
            return bool(theirs == ours)
        return theirs.shape == ours.shape and torch.allclose(theirs, ours, atol=SAME)


def _plain(changes: LowRanks) -> dict[str, tuple[Tensor, ...]]:
    """As a file without code can hold it."""
    return {name: tuple(change) for name, change in changes.items()}


def _ranks(plain: dict[str, tuple[Tensor, ...]]) -> LowRanks:
    return {name: LowRank(*parts) for name, parts in plain.items()}
