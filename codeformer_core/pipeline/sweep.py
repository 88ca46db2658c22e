"""One face at many fidelities, in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingError
from ..images.sheet import Panel, draw_sheet
from ..networks import fidelity_per_face
from ..runtime import Runtime
from .codes import EncodedCrops, decode_crops
from .notes import failure_notes

LARGEST_SHEET = 16384
"""Longest side of a grid in pixels; more than this no picture viewer likes."""


@dataclass(frozen=True)
class Sweep:
    """Faces decoded at several fidelities."""

    faces: Tensor
    """(N * V, S, S, 3): every face at all V fidelities, then the next face."""
    grid: Tensor
    """(H, W, 3): a row a face: the input, then a labelled picture for every fidelity."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""


def sweep_fidelity(
    encoded: EncodedCrops,
    fidelities: Sequence[float],
    *,
    adain: bool | None = None,
    panel: int = 256,
    runtime: Runtime | None = None,
) -> Sweep:
    """Decode faces at several fidelities and lay them out.

    Args:
        encoded: what `encode_crops` returned.
        fidelities: values in 0..1, at least one.
        adain: match colours in the network; None takes the variant's own setting.
        panel: width of every picture of the grid in pixels.
        runtime: where the network runs and progress goes.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        SettingError: no fidelity, one out of range, or a grid too large to draw.
    """
    if not fidelities:
        raise SettingError("the sweep needs at least one fidelity, for example 0, 0.5, 1")
    if (longest := _longest_side(len(encoded), len(fidelities), panel)) > LARGEST_SHEET:
        raise SettingError(
            f"the grid would be {longest} pixels long, more than {LARGEST_SHEET}: choose fewer "
            "faces, fewer fidelities or smaller pictures"
        )
    fidelity_per_face(fidelities, len(fidelities))
    runtime, count = runtime or Runtime(), len(fidelities)
    decoded: list[Tensor] = []
    failed: set[int] = set()
    for index, fidelity in enumerate(fidelities):
        share = runtime.share(index / count, (index + 1) / count)
        restored = decode_crops(encoded, fidelity, adain=adain, keep_gray=True, runtime=share)
        failed.update(restored.failed)
        decoded.append(restored.crops)
    faces = torch.stack(decoded, 1)  # (N, V, S, S, 3)
    grid = _draw(encoded.crops, faces, fidelities, panel)
    return Sweep(faces.flatten(0, 1), grid, failure_notes(sorted(failed), len(encoded)))


def _draw(crops: Tensor, faces: Tensor, fidelities: Sequence[float], panel: int) -> Tensor:
    if not len(crops):
        return torch.ones(panel, panel, 3)
    rows = [
        [
            Panel(crop, ("input",)),
            *(
                Panel(face, (f"fidelity {fidelity:g}",))
                for face, fidelity in zip(row, fidelities, strict=True)
            ),
        ]
        for crop, row in zip(crops, faces, strict=True)
    ]
    return draw_sheet(rows, panel)


def _longest_side(faces: int, fidelities: int, panel: int) -> int:
    return max(faces, fidelities + 1) * (panel + 40)
