"""Restore aligned crops in chunks, and notice faces that did not come out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..errors import OutOfMemoryError, PictureError, SettingError
from ..faces import match_gray
from ..images import from_network, resize, to_network
from ..networks import CodeFormerConfig, Fidelity

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all); an exception raised in it stops the job."""

CHUNK = 8
"""Faces of one forward pass unless the caller knows the memory better."""


class FaceRestorer(Protocol):
    """A CodeFormer, or whatever a host puts around one."""

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        ...

    @property
    def config(self) -> CodeFormerConfig:
        """Sizes and variant."""
        ...

    def __call__(
        self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None, /
    ) -> Tensor:
        """(N, 3, S, S) in -1..1 to the same."""
        ...


@dataclass(frozen=True)
class RestoredCrops:
    """Crops after restoration."""

    crops: Tensor
    """(N, S, S, 3) float32 in 0..1; a broken face is its input crop, resized."""
    broken: tuple[int, ...]
    """Indices of the faces whose result held NaN or infinity."""


def restore_crops(
    network: FaceRestorer,
    crops: Tensor,
    fidelity: Fidelity = 0.5,
    *,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> Tensor:
    """Restore aligned faces.

    Args:
        network: a loaded CodeFormer; crops are brought to its device, results back.
        crops: (N, H, H, 3) RGB in 0..1, aligned to the five-point template; resized to the
            network's own size S if they differ.
        fidelity: 0 (quality) to 1 (identity), one number or one a face.
        adain: match colours in the network; None takes the variant's own setting.
        chunk: faces of one forward pass; halved while the device's memory runs out.
        on_progress: called with (faces done, faces in all) after every chunk.

    Returns:
        (N, S, S, 3) float32 in 0..1 on the device of `crops`.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: crops of another shape, or results that are not finite; see
            `try_restore_crops` to go on without those faces.
        SettingError: a fidelity outside 0..1 or not one a face, or a chunk under 1.
    """
    restored = try_restore_crops(
        network, crops, fidelity, adain=adain, chunk=chunk, on_progress=on_progress
    )
    if restored.broken:
        raise PictureError(
            f"the model gave no finite pixels for {_numbered(restored.broken)}: check the pictures "
            "for NaN, or load the model as float32"
        )
    return restored.crops


def try_restore_crops(
    network: FaceRestorer,
    crops: Tensor,
    fidelity: Fidelity = 0.5,
    *,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> RestoredCrops:
    """Restore aligned faces; one that does not come out finite is reported and left as it was.

    Arguments and errors as of `restore_crops`, which raises in that case.
    """
    check_crops(crops, chunk)
    count, side = len(crops), network.size
    weights = fidelity_per_face(fidelity, count)
    restored = torch.empty((count, side, side, 3), dtype=torch.float32, device=crops.device)
    broken: list[int] = []
    start = 0
    while start < count:
        part = slice(start, start + chunk)
        inputs = resize(crops[part].float(), side, side)
        outputs = _forward_if_it_fits(network, inputs, weights[part], adain)
        if outputs is None:
            # Outside of the handler: until it ends, the error keeps the failed tensors alive.
            torch.cuda.empty_cache()
            chunk = len(inputs) // 2
            continue
        restored[part], failed = finite_or_input(outputs, inputs)
        broken += [start + index for index in failed]
        start += len(inputs)
        if on_progress is not None:
            on_progress(start, count)
    return RestoredCrops(restored, tuple(broken))


def _forward_if_it_fits(
    network: FaceRestorer, crops: Tensor, fidelity: Tensor, adain: bool | None
) -> Tensor | None:
    """Results of one pass; None if memory ran out and there are fewer faces to try.

    Raises:
        OutOfMemoryError: there is no room even for one face.
    """
    home = home_of(network)
    try:
        return _forward(network, crops, home or crops.device, fidelity, adain)
    except torch.cuda.OutOfMemoryError as error:  # of every device; torch 2.4 has it only here
        if home is None:  # a host's wrapper has halved by itself, and its error is the host's
            raise
        if len(crops) > 1:
            return None
        raise OutOfMemoryError(
            f"{home} has no room for even one face of {crops.shape[1]} px: end what else uses its "
            "memory, or use the processor (--device cpu; in Python, load the model with "
            'device="cpu")'
        ) from error


def _forward(
    network: FaceRestorer,
    crops: Tensor,
    device: torch.device,
    fidelity: Tensor,
    adain: bool | None,
) -> Tensor:
    with torch.no_grad():
        outputs = network(to_network(crops.clamp(0, 1)).to(device), shortest(fidelity), adain)
    return outputs.to(crops.device)


def finite_or_input(outputs: Tensor, inputs: Tensor) -> tuple[Tensor, list[int]]:
    """Pictures of network outputs; a face that is not finite is its input, and listed.

    Args:
        outputs: (N, 3, S, S), about -1..1.
        inputs: (N, S, S, 3) in 0..1.

    Returns:
        (N, S, S, 3) in 0..1, and the indices of the faces that failed.
    """
    # Before the clamp of `from_network`, which makes a plain 1 of an infinity.
    finite = outputs.isfinite().flatten(1).all(1)
    pictures = torch.where(finite[:, None, None, None], from_network(outputs), inputs)
    return pictures, [int(index) for index in (~finite).nonzero()]


def keep_tone(network: FaceRestorer, restored: Tensor, crops: Tensor) -> Tensor:
    """Faces of gray and toned pictures in the tone they had, unless the network is to colour them.

    Args:
        network: what restored them.
        restored: (N, S, S, 3) in 0..1.
        crops: the same faces before, at any size.
    """
    return restored if network.config.variant == "colorization" else match_gray(restored, crops)


def shortest(fidelity: Tensor) -> Fidelity:
    """Equal weights as one number: a network may take a shorter way, and always does for 0."""
    return float(fidelity[0]) if bool((fidelity == fidelity[0]).all()) else fidelity


def home_of(network: object) -> torch.device | None:
    """Where a plain network computes; None for a host's wrapper, which moves things itself."""
    return next(network.parameters()).device if isinstance(network, nn.Module) else None


def check_crops(crops: Tensor, chunk: int) -> None:
    """Raise unless crops are (N, S, S, 3) and a chunk holds a face."""
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise PictureError(
            f"expected aligned square faces of shape (N, S, S, 3), got {tuple(crops.shape)}"
        )
    if chunk < 1:
        raise SettingError(f"chunk is {chunk}: it must be at least 1 face")


def fidelity_per_face(fidelity: Fidelity, count: int) -> Tensor:
    """Fidelity as (count,) float32 on the CPU; raise a SettingError unless it is in 0..1."""
    values = torch.as_tensor(fidelity, dtype=torch.float32, device="cpu").reshape(-1)
    if values.numel() not in (1, count):
        raise SettingError(
            f"fidelity has {values.numel()} values for {count} faces: give one number, or as many"
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise SettingError(f"fidelity must be between 0 and 1, got {values.tolist()}")
    return values.expand(count)


def _numbered(indices: tuple[int, ...]) -> str:
    """Faces by their place in the batch, counted from 1."""
    numbers = ", ".join(str(index + 1) for index in indices)
    return f"face {numbers}" if len(indices) == 1 else f"faces {numbers}"
