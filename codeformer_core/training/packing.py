"""All that training needs in one small folder, for a machine that has nothing else.

`faces-*.tar`: aligned faces at the size they are trained at, with their notes. `evaluation/`: a few
faces to measure on. `weights/`: what is needed of the loss networks. `start/`: weights to begin
from. `run/`: a run to go on with (see `parcels`).
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..checkpoints import write_state
from ..errors import PictureError, SettingError
from ..images import make_folder, picture_files, shorter_side, writing_errors
from ..metrics import BACKBONES
from ..runtime import Progress
from .shards import ShardWriter
from .sources import shards_in

EVALUATION, WEIGHTS, START, RUN = "evaluation", "weights", "start", "run"
"""Folders of a packed folder."""
SHARD_BYTES = 15 << 20
"""Of a shard, at most: some ways to another machine take no file of more than 16 MiB."""
EVALUATION_QUALITY = 95


@dataclass(frozen=True)
class Note:
    """What is known of a face."""

    source: str = ""
    person: str = ""
    """A number, where others of the faces show the same person."""
    native: float = float("inf")
    """Side in pixels that the face had in its photo: it may have been enlarged since."""


@dataclass
class PackingReport:
    """What became of the faces."""

    faces: int = 0
    too_small: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    """How many come from each."""


def read_index(path: Path) -> dict[str, Note]:
    """Notes by file name, from a CSV with the columns file, source, native_side_px and person.

    Raises:
        PictureError: not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return {
                row["file"]: Note(
                    row.get("source") or "",
                    row.get("person") or "",
                    float(row.get("native_side_px") or "inf"),
                )
                for row in csv.DictReader(stream)
            }
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise PictureError(f"{path}: not an index of faces ({error!r:.200})") from error


def pack_faces(
    folder: Path,
    notes: Mapping[str, Note],
    out: Path,
    *,
    size: int,
    quality: int,
    weights: Mapping[str, float],
    on_progress: Progress | None = None,
) -> PackingReport:
    """Pack aligned faces at one size; those that are smaller, or were, are left out.

    Args:
        folder: of pictures.
        notes: by file name; a face without any counts once an epoch.
        out: for the shards; must hold none yet.
        size: side in pixels.
        quality: of the WebP files, 1 to 100.
        weights: how often the faces of a source come in an epoch; once if it is not named.
        on_progress: called after every face with (faces done, faces in all).

    Raises:
        PictureError: a picture cannot be read, or a shard not be written.
        SettingError: `out` holds shards already, or no face has a source that `weights` names.
    """
    if shards_in(out):
        raise SettingError(f"{out}: holds shards already; choose another folder")
    paths, report = picture_files(folder), PackingReport()
    with ShardWriter(out, SHARD_BYTES) as writer:
        for number, path in enumerate(paths):
            note = notes.get(path.name, Note())
            if min(shorter_side(path, str(path)), note.native) < size:
                report.too_small += 1
            else:
                writer.add(path.stem, _packed(path, note, size, quality, weights))
                report.faces += 1
                report.sources[note.source] = report.sources.get(note.source, 0) + 1
            if on_progress is not None:
                on_progress(number + 1, len(paths))
    unknown = sorted(set(weights) - set(report.sources))
    if unknown:
        known = sorted(report.sources)
        raise SettingError(f"no face is from {unknown[0]!r}, only from {known}: correct the weight")
    return report


def _packed(
    path: Path, note: Note, size: int, quality: int, weights: Mapping[str, float]
) -> dict[str, bytes]:
    """The files of a face by suffix."""
    about = {
        "source": note.source,
        "person": note.person,
        "native": note.native,
        "weight": float(weights.get(note.source, 1.0)),
    }
    return {"webp": _as_webp(path, size, quality), "json": json.dumps(about).encode()}


def _as_webp(path: Path, size: int, quality: int) -> bytes:
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise PictureError(f"{path}: not a readable picture; remove it or save it again")
    pixels = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def pack_evaluation(folder: Path, out: Path, size: int, count: int) -> int:
    """Put some faces to evaluate on into a packed folder, evenly taken; how many there are.

    Raises:
        PictureError: a picture cannot be read, or the folder not be written.
    """
    paths = [path for path in picture_files(folder) if shorter_side(path, str(path)) >= size]
    chosen = paths[:: max(1, -(-len(paths) // count))]
    make_folder(out / EVALUATION)
    for path in chosen:
        target = out / EVALUATION / f"{path.stem}.webp"
        with writing_errors(target):
            target.write_bytes(_as_webp(path, size, EVALUATION_QUALITY))
    return len(chosen)


def pack_backbones(out: Path, names: Sequence[str] = tuple(BACKBONES)) -> None:
    """Put what is read of the loss networks into a packed folder.

    Raises:
        MissingModelError: a package with weights is not installed.
        CheckpointError: the folder cannot be written.
    """
    make_folder(out / WEIGHTS)
    for name in names:
        write_state(out / WEIGHTS / f"{name}.safetensors", BACKBONES[name].trimmed())


def packed_bytes(out: Path) -> int:
    """Size of a packed folder."""
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
