"""Restore aligned crops, and notice faces that did not come out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import PictureError
from ..models.restorer import Restorer
from ..people.recogniser import Whom
from ..runtime import Runtime
from .automatic import FidelityChoice, per_face
from .batches import restored_batches
from .notes import fidelity_notes, notes_on, numbered, recognition_notes, sides_of
from .recognition import Recognition, recognise_crops


@dataclass(frozen=True)
class RestoredCrops:
    """Crops after restoration."""

    crops: Tensor
    """(N, S, S, 3) float32 in 0..1; a failed face is its input crop, resized."""
    failed: tuple[int, ...]
    """Indices of the faces whose result held NaN or infinity."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""
    fidelity: tuple[float, ...] = ()
    """Of each face, where it was chosen by itself; else empty."""


def restore_crops(
    network: Restorer,
    crops: Tensor,
    fidelity: FidelityChoice = 0.5,
    *,
    adain: bool | None = None,
    keep_gray: bool = False,
    runtime: Runtime | None = None,
) -> Tensor:
    """Restore aligned faces.

    Args:
        network: a CodeFormer or another restorer; crops are brought to its device, results back.
        crops: (N, H, H, 3) RGB in 0..1, aligned to the five-point template; resized to the
            network's own size S if they differ.
        fidelity: 0 (quality) to 1 (identity), one number or one a face, or an `Automatic`.
        adain: match colours in the network; None takes the variant's own setting.
        keep_gray: faces of gray and toned pictures stay gray or toned, unless the network is to
            colour them.
        runtime: where the network runs, how many faces at once, and where progress goes.

    Returns:
        (N, S, S, 3) float32 in 0..1 on the device of `crops`.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: crops of another shape, or results that are not finite; see
            `try_restore_crops` to go on without those faces.
        SettingError: a fidelity outside 0..1 or not one a face.
    """
    restored = try_restore_crops(
        network, crops, fidelity, adain=adain, keep_gray=keep_gray, runtime=runtime
    )
    return all_finite(restored).crops


def all_finite(restored: RestoredCrops) -> RestoredCrops:
    """Raise unless every face came out.

    Raises:
        PictureError: one did not.
    """
    if restored.failed:
        raise PictureError(
            f"the model gave no finite pixels for {numbered(restored.failed)}: check the pictures "
            "for NaN, or load the model as float32"
        )
    return restored


def try_restore_crops(
    network: Restorer,
    crops: Tensor,
    fidelity: FidelityChoice = 0.5,
    *,
    adain: bool | None = None,
    keep_gray: bool = False,
    whom: Sequence[Whom] | None = None,
    runtime: Runtime | None = None,
) -> RestoredCrops:
    """Restore aligned faces; one that does not come out finite is named and left as it was.

    Arguments and errors as of `restore_crops`, which raises in that case. `whom` says as
    whom each face is restored, where the network knows anybody; without it they are recognised.
    """
    check_crops(crops)
    runtime = runtime or Runtime()
    recognition = Recognition(tuple(whom or ()))
    if whom is None:
        recognition = recognise_crops(network, crops, runtime.silent())
    restored = new_crops(crops, network.size)
    failed: list[int] = []
    chosen: tuple[float, ...] = ()
    for batch in restored_batches(
        network,
        crops.__getitem__,
        per_face(fidelity, len(crops)),
        len(crops),
        adain=adain,
        keep_gray=keep_gray,
        whom=recognition.whom,
        runtime=runtime,
    ):
        restored[batch.part] = batch.crops
        failed += batch.failed
        chosen += batch.fidelity
    notes = (
        *recognition_notes(recognition),
        *fidelity_notes(chosen),
        *notes_on(network, sides_of(crops), failed),
    )
    return RestoredCrops(restored, tuple(failed), notes, chosen)


def new_crops(crops: Tensor, side: int) -> Tensor:
    """Room for the results of crops: (N, side, side, 3) float32 on their device."""
    return crops.new_empty((len(crops), side, side, 3), dtype=torch.float32)


def check_crops(crops: Tensor) -> None:
    """Raise unless crops are (N, S, S, 3) floats."""
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise PictureError(
            f"expected aligned square faces of shape (N, S, S, 3), got {tuple(crops.shape)}"
        )
    if not crops.is_floating_point():
        raise PictureError(
            f"aligned faces must hold float values from 0 to 1, not {crops.dtype}: divide by 255"
        )
