"""The file beside a CodeFormer that makes it draw whom reference photos show.

Safetensors with `conditioning.NAME` for every tensor of a `ReferenceConditioning`, and a sample of
the model it belongs to.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor, nn

from ..checkpoints import write_state
from ..checkpoints.reader import Metadata, State, read_weights
from ..errors import CheckpointError
from ..models.folders import model_folders
from ..models.load import BUILTIN_FOLDER
from ..networks import CodeFormer
from ..networks.layers import Operations
from ..networks.references import ReferenceConditioning
from .bases import BASE, SAMPLE, SAMPLE_SIZE, about_base, base_sample, is_base

log = logging.getLogger("CodeFormer")

PREFIX = "conditioning."
KIND = "codeformer-references"
"""Metadata `kind` of such a file."""
START = 1 << 16
"""Bytes at the beginning of a file in which the metadata are."""
FILES, SUBFOLDER = "*_references.safetensors", "facerestore_models"
"""What such files are called, and where in a ComfyUI's model folder they lie."""


@dataclass(frozen=True)
class Conditioning:
    """A conditioning, and which CodeFormer it was trained beside."""

    network: ReferenceConditioning
    """What it has learnt."""
    sample: Tensor
    """(256,) numbers of the CodeFormer, by which it is known again."""
    metadata: Metadata = field(default_factory=Metadata)
    """About that CodeFormer's file."""
    name: str = "conditioning"
    """Of its own file, without ending."""

    @classmethod
    def beside(cls, base: CodeFormer, network: ReferenceConditioning) -> "Conditioning":
        """One that belongs to a CodeFormer."""
        return cls(network, base_sample(base))

    def belongs_to(self, base: CodeFormer) -> bool:
        """Whether a CodeFormer is the one it was trained beside."""
        channels, sizes = base.config.vqgan.channels_by_size, base.config.feature_sizes
        changed = channels_of(self.network).items()
        fits = all(side in sizes and channels[side] == n for side, n in changed)
        return fits and is_base(base, self.sample)

    def check(self, base: CodeFormer) -> None:
        """Raise unless a CodeFormer is the one it was trained beside.

        Raises:
            CheckpointError: it is another; the message names both.
        """
        if not self.belongs_to(base):
            trained = self.metadata.get(BASE, "another model")
            raise CheckpointError(
                f"{self.name} was trained beside {trained}, not this model ({base.size} px): load "
                "that one, or train a conditioning for this one (codeformer train all "
                "references_256)"
            )


def find_conditioning(
    base: CodeFormer, folders: Sequence[Path] = (), operations: Operations = nn
) -> Conditioning | None:
    """The conditioning that was trained beside a CodeFormer, in the package or in folders.

    Args:
        base: of any file; it is known again by its weights.
        folders: for `NAME_references.safetensors`, themselves or in a ComfyUI's subfolder of face
            restorers; none means `model_folders()`.
        operations: where layer classes come from, as when the base was built.

    Returns:
        None if there is none. A file of such a name that is something else is left aside, with a
        warning.

    Raises:
        CheckpointError: a conditioning is damaged.
    """
    folders = [each for f in folders or model_folders() for each in (f, f / SUBFOLDER)]
    files = (file for folder in (BUILTIN_FOLDER, *folders) for file in sorted(folder.glob(FILES)))
    every = (read_conditioning(file, operations) for file in files if _says_it_is_one(file))
    return next((found for found in every if found.belongs_to(base)), None)


def described(conditioning: Conditioning, base: Path) -> Conditioning:
    """The same with what its file says of the base model's file.

    Raises:
        OSError: that cannot be read.
    """
    return replace(conditioning, metadata=about_base(base))


def channels_of(network: ReferenceConditioning) -> dict[int, int]:
    """Channels of the feature maps that a conditioning changes, by their side."""
    return {
        int(side): modulation.get_parameter("joint.bias").numel()
        for side, modulation in network.sides.items()
    }


def save_conditioning(
    path: str | Path, conditioning: Conditioning, metadata: Metadata | None = None
) -> Path:
    """Write a conditioning, its numbers in float16.

    Args:
        path: .safetensors.
        conditioning: to be written.
        metadata: more to say about it.

    Raises:
        CheckpointError: it cannot be written; nothing is left under its name.
        SettingError: another suffix.
    """
    learnt = conditioning.network.state_dict()
    state: State = {f"{PREFIX}{name}": each.half() for name, each in learnt.items()}
    state[SAMPLE] = conditioning.sample
    return write_state(path, state, {**conditioning.metadata, **(metadata or {}), "kind": KIND})


def read_conditioning(path: str | Path, operations: Operations = nn) -> Conditioning:
    """Read a conditioning, in float32.

    Raises:
        MissingModelError: there is no such file.
        CheckpointError: it is damaged, or no conditioning.
    """
    file = read_weights(path)
    state = {
        key.removeprefix(PREFIX): each.float()
        for key, each in file.state.items()
        if key.startswith(PREFIX)
    }
    sample = file.state.get(SAMPLE)
    if not state or sample is None or sample.shape != (SAMPLE_SIZE,):
        raise CheckpointError(
            f"{file.path.name}: is no conditioning on references; choose a file that codeformer "
            "train all references_256 made"
        )
    try:
        network = ReferenceConditioning(_channels_in(state), operations)
        network.load_state_dict(state)
    except (LookupError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{file.path.name}: is a damaged conditioning ({error!s:.200}); get it again"
        ) from error
    network.eval().requires_grad_(False)
    return Conditioning(network, sample.float(), file.metadata, file.path.stem)


def _says_it_is_one(path: Path) -> bool:
    """Whether a file calls itself a conditioning, however damaged it is; warns if not."""
    try:
        with path.open("rb") as stream:
            if KIND.encode() in stream.read(START):
                return True
        reason = "it is no conditioning on references"
    except OSError as error:
        reason = f"it cannot be read ({error})"
    log.warning("%s: left aside, because %s", path, reason)
    return False


def _channels_in(state: State) -> dict[int, int]:
    """Channels by side, read off the shapes of a file's tensors."""
    sides = {key.split(".")[1] for key in state}
    return {int(side): state[f"sides.{side}.joint.bias"].numel() for side in sorted(sides, key=int)}
