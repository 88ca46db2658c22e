"""Personal adapters: a small file that makes a CodeFormer know one person.

Safetensors with `adapter.LAYER.down` and `.up` for every changed layer, the descriptors of the
photos it was learnt from, and a sample of the model it belongs to.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from ..checkpoints import write_state
from ..checkpoints.reader import Metadata, State, read_weights
from ..errors import CheckpointError, SettingError
from ..networks import CodeFormer
from ..networks.low_rank import LowRank, LowRanks, adapted, adapted_layers
from .bases import BASE, SAMPLE, SAMPLE_SIZE, about_base, is_base

PREFIX, DESCRIPTORS = "adapter.", "person.descriptors"
PHOTOS, LICENCE = "photos", "licence"
"""Metadata, beside what is said of the base model: number of photos, licence note."""
LICENCE_NOTE = (
    "A picture of a person: made for people who agree. The licence of the base model applies too."
)


@dataclass(frozen=True)
class Adapter:
    """What a CodeFormer has learnt of one person."""

    changes: LowRanks
    """Of the layers, by name."""
    sample: Tensor
    """(256,) numbers of the base model, by which it is known again."""
    descriptors: Tensor
    """(K, 128) of the photos."""
    metadata: Metadata = field(default_factory=Metadata)
    """About the base model, the photos and the licence."""
    name: str = "adapter"
    """Of its file, without ending."""

    def apply(self, network: CodeFormer, strength: float = 1.0) -> CodeFormer:
        """A copy of the base model that knows the person.

        Args:
            network: the model it was made for, in any number type.
            strength: 0 is the base model, 1 the adapter as it was learnt.

        Raises:
            CheckpointError: it was made for another model.
            SettingError: the strength is not finite.
        """
        if not torch.isfinite(torch.tensor(strength)):
            raise SettingError(f"the strength of {self.name} is {strength}: use 0 to 1")
        self._check(network)
        return adapted(network, self.changes, strength)

    def _check(self, network: CodeFormer) -> None:
        """Raise unless a network is the base model."""
        if not (is_base(network, self.sample) and self._fits(network)):
            base = self.metadata.get(BASE, "another model")
            raise CheckpointError(
                f"{self.name} was made for {base}, not for this model ({network.size} px): load "
                "that one, or make an adapter for this one (Personalize, codeformer personalize)"
            )

    def _fits(self, network: CodeFormer) -> bool:
        layers = dict(adapted_layers(network))
        return all(
            name in layers
            and isinstance(weight := layers[name].weight, Tensor)
            and weight.shape[0] == change.up.shape[0]
            and weight[0].numel() == change.down.shape[1]
            for name, change in self.changes.items()
        )


def save_adapter(path: str | Path, adapter: Adapter) -> Path:
    """Write an adapter.

    Args:
        path: .safetensors.
        adapter: to be written; its numbers in float16.

    Raises:
        CheckpointError: it cannot be written; nothing is left under its name.
        SettingError: another suffix.
    """
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        raise SettingError(f"{path.name}: adapters are written as .safetensors")
    state: State = {
        f"{PREFIX}{name}.{part}": getattr(change, part).half()
        for name, change in adapter.changes.items()
        for part in LowRank._fields
    }
    state |= {DESCRIPTORS: adapter.descriptors, SAMPLE: adapter.sample}
    described = {"kind": "codeformer-adapter", LICENCE: LICENCE_NOTE, **adapter.metadata}
    return write_state(path, state, described)


def read_adapter(path: str | Path) -> Adapter:
    """Read an adapter.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: it is damaged, or no adapter.
    """
    file = read_weights(path)
    layers = {key.removeprefix(PREFIX).rpartition(".")[0] for key in file.state if _is_part(key)}
    try:
        changes = {name: _change(file.state, name) for name in sorted(layers)}
        sample, descriptors = file.state[SAMPLE].float(), file.state[DESCRIPTORS].float()
    except KeyError as error:
        raise CheckpointError(
            f"{file.path.name}: is no personal adapter, it lacks {error}; choose a file that "
            "Personalize or codeformer personalize made"
        ) from error
    if not changes or sample.shape != (SAMPLE_SIZE,) or descriptors.ndim != 2:
        raise CheckpointError(f"{file.path.name}: is a damaged personal adapter; make it again")
    return Adapter(changes, sample, descriptors, file.metadata, file.path.stem)


def described(adapter: Adapter, base: Path, photos: int) -> Adapter:
    """The same adapter with what its file says about itself.

    Args:
        adapter: as it was learnt.
        base: file of the base model.
        photos: how many it was learnt from.
    """
    return replace(adapter, metadata={**about_base(base), PHOTOS: str(photos)})


def _is_part(key: str) -> bool:
    return key.startswith(PREFIX) and key.endswith((".down", ".up"))


def _change(state: State, name: str) -> LowRank:
    down, up = (state[f"{PREFIX}{name}.{part}"].float() for part in LowRank._fields)
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
        raise KeyError(f"{PREFIX}{name}")
    return LowRank(down, up)
