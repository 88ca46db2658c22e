"""Measure a model: degrade faces with fixed seeds, restore them at several fidelities, compare."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..degradation import STAGE_TWO, DegradationRange, degrade
from ..errors import PictureError
from ..faces import FaceDetector
from ..images import (
    as_images,
    from_network,
    picture_files,
    read_picture,
    resize,
    shorter_side,
    to_network,
)
from ..images.sheet import Panel, draw_sheet
from ..metrics import FrechetDistance, codebook_usage
from ..networks import CodeFormer, fidelity_per_face
from ..runtime import Runtime
from .baseline import NearestNeighbour

Measure = Callable[[Tensor, Tensor], Tensor]
"""Clean and other faces, (B, S, S, 3) in 0..1, to a number a face; NaN where there is none."""

REFERENCE_SIZE = 512
"""Side of the faces for which degradation ranges are given."""
INPUT, NEAREST, CLEAN = "degraded input", "nearest neighbour", "clean"
DEFAULT_FIDELITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHEET_FACES = 8
PANEL_WIDTH = 160


@dataclass
class Evaluation:
    """What was measured."""

    faces: int
    """How many."""
    size: int
    """Their side in pixels."""
    seed: int
    """Of the degradations."""
    rows: dict[str, dict[str, float]]
    """Means by restoration and measure."""
    sheet: Tensor
    """(H, W, 3) in 0..1: some faces and what became of them."""


class Restoration(NamedTuple):
    """What became of a batch of faces."""

    name: str
    pictures: Tensor
    """(B, S, S, 3) in 0..1, on the CPU."""
    codes: Tensor | None
    """(B, T) that they were made of."""


@dataclass
class _Sums:
    """Running sums of one restoration."""

    totals: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    codes: list[Tensor] = field(default_factory=list)

    def add(self, name: str, values: Tensor) -> None:
        values = values.double()
        known = values[~values.isnan()]
        self.totals[name] = self.totals.get(name, 0.0) + float(known.sum())
        self.counts[name] = self.counts.get(name, 0) + len(known)

    def means(self) -> dict[str, float]:
        return {
            name: total / self.counts[name] if self.counts[name] else float("nan")
            for name, total in self.totals.items()
        }


def evaluate(
    network: CodeFormer,
    folder: Path,
    measures: dict[str, Measure],
    *,
    fidelities: Sequence[float] = DEFAULT_FIDELITIES,
    ranges: DegradationRange = STAGE_TWO,
    baseline: NearestNeighbour | None = None,
    seed: int = 0,
    limit: int | None = None,
    frechet: Callable[[], FrechetDistance] | None = None,
    runtime: Runtime | None = None,
) -> Evaluation:
    """Measure a model on a folder of aligned faces.

    Face i, in order of name, is degraded with what (seed, i) draws, whatever the model.

    Args:
        network: a loaded CodeFormer.
        folder: aligned square faces; smaller ones than the network's size are left out.
        measures: by name.
        fidelities: to restore at.
        ranges: of the degradation, for 512 px faces; scaled to the network's size.
        baseline: the lookup without transformer; of the network's own encoder if left out.
        seed: of the degradations.
        limit: at most so many faces.
        frechet: makes an empty distance for each restoration.
        runtime: what runs the network; a local one if left out.

    Raises:
        PictureError: no usable face in the folder, or a picture that cannot be read.
        SettingError: a fidelity outside 0..1.
    """
    fidelity_per_face(fidelities, len(fidelities))
    paths = find_faces(folder, network.size)[:limit]
    baseline = baseline or NearestNeighbour(network)
    sums: dict[str, _Sums] = {}
    distances: dict[str, FrechetDistance] = {}
    shown: list[list[Panel]] = []
    runtime = runtime or Runtime()

    def restore(part: slice) -> list[Restoration]:
        clean = torch.stack([_read(path, network.size) for path in paths[part]])
        degraded = degrade_faces(clean, ranges, seed, part.start)
        made = _restorations(network, baseline, degraded, fidelities)
        return [Restoration(CLEAN, clean, None), *made]

    for part, ((_, clean, _), *restorations) in runtime.batches(
        network, len(paths), restore, bytes_per_item=network.bytes_per_face
    ):
        for name, restored, codes in restorations:
            row = sums.setdefault(name, _Sums())
            for measure_name, measure in measures.items():
                row.add(measure_name, measure(clean, restored))
            row.codes += [] if codes is None else [codes]
            if frechet is not None:
                if name not in distances:
                    distances[name] = frechet()
                distances[name].add(clean, real=True)
                distances[name].add(restored, real=False)
            _show(shown, name, restored, part.start)
        _show(shown, CLEAN, clean, part.start)
    size = network.config.vqgan.codebook_size
    rows = {name: row.means() | _usage(row.codes, size) for name, row in sums.items()}
    for name, distance in distances.items():
        rows[name][distance.name] = distance.value()
    return Evaluation(len(paths), network.size, seed, rows, draw_sheet(shown, PANEL_WIDTH))


def find_faces(folder: Path, size: int) -> list[Path]:
    """Aligned faces of a folder that are at least `size` px, in order of name.

    Raises:
        PictureError: there is none, or a picture that cannot be read.
    """
    found = [path for path in picture_files(folder) if shorter_side(path, str(path)) >= size]
    if not found:
        raise PictureError(f"{folder}: holds no aligned face of at least {size} px")
    return found


def degrade_faces(clean: Tensor, ranges: DegradationRange, seed: int, first: int) -> Tensor:
    """Degrade (B, S, S, 3) faces, the first of which is number `first` of the evaluation."""
    scaled = ranges.scaled(clean.shape[1] / REFERENCE_SIZE)
    degraded = []
    for number, face in enumerate(clean, start=first):
        drawn = scaled.draw(np.random.default_rng((seed, number)))
        degraded.append(degrade(face, drawn, seed=number))
    return torch.stack(degraded)


def nme_measure(detector: FaceDetector) -> Measure:
    """Normalised mean error of the landmarks with a detector; NaN where it finds no face."""
    from ..metrics import nme

    def find(faces: Tensor) -> Tensor:
        points = []
        for frame in detector.detect(faces).frames:
            largest = max(frame, key=lambda face: face.box.area, default=None)
            points.append(largest.landmarks.points if largest else ((float("nan"),) * 2,) * 5)
        return torch.tensor(points, dtype=torch.float64)

    find_clean = _remembering(find)
    return lambda clean, other: nme(find_clean(clean), find(other))


class Descriptors(Protocol):
    """Tells people apart: an `IdentityNetwork`."""

    def embed(self, crops: Tensor, /) -> Tensor:
        """(N, S, S, 3) in 0..1 to (N, D)."""
        ...


def identity_measure(identity: Descriptors) -> Measure:
    """Identity distance: how far apart the descriptors are."""
    embed_clean = _remembering(identity.embed)
    return lambda clean, other: (embed_clean(clean) - identity.embed(other)).norm(dim=1)


def _remembering(find: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`find`, run once for the clean faces with which every restoration of a batch is compared."""
    last: list[tuple[Tensor, Tensor]] = []

    def found(faces: Tensor) -> Tensor:
        if not last or last[0][0] is not faces:
            last[:] = [(faces, find(faces))]
        return last[0][1]

    return found


def _restorations(
    network: CodeFormer, baseline: NearestNeighbour, degraded: Tensor, fidelities: Sequence[float]
) -> Iterator[Restoration]:
    """Every restoration of a batch of (B, S, S, 3) degraded faces."""
    parameter = next(network.parameters())
    crops = to_network(degraded).to(parameter.device, parameter.dtype)
    yield Restoration(INPUT, degraded, None)
    yield Restoration(NEAREST, from_network(baseline(crops)).cpu(), baseline.codes(crops).cpu())
    face_codes = network.encode(crops)
    for fidelity in fidelities:
        restored = from_network(network.decode(face_codes, fidelity)).cpu()
        yield Restoration(f"w = {fidelity:g}", restored, face_codes.codes.cpu())


def _usage(codes: list[Tensor], codebook_size: int) -> dict[str, float]:
    if not codes:
        return {}
    return {"codes used": codebook_usage(torch.cat(codes), codebook_size)[0]}


def _show(shown: list[list[Panel]], name: str, faces: Tensor, start: int) -> None:
    """Put a column of the first faces on the sheet."""
    for number, face in enumerate(faces, start=start):
        if number < SHEET_FACES:
            if number >= len(shown):
                shown.append([])
            shown[number].append(Panel(face, (name,)))


def _read(path: Path, size: int) -> Tensor:
    return resize(as_images(read_picture(path).pixels)[..., :3], size, size)[0]
