"""How time grows with the number of faces, the size of the picture and the number of frames.

The built-in model on faces of 128 pixels, with YuNet where faces are searched. Each
series gets the straight line that fits it best; --svg draws both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import plot
import torch
from scenes import group_photo, placed_faces, portraits, sides
from side_by_side import Row, compare, parser, report

from codeformer_core.faces import YuNetDetector
from codeformer_core.models import load_codeformer
from codeformer_core.pipeline import restore_image
from codeformer_core.runtime import Runtime

FACE_SIDE = 128.0
FRAME = (240, 320)


class Series(NamedTuple):
    """One way to make the task larger."""

    title: str
    axis: str
    values: Sequence[float]
    task: Callable[[float], Callable[[], object]]
    """From a value to what is timed."""


def main() -> None:
    """Measure, report and draw."""
    options = parser(__doc__)
    options.add_argument("--svg", type=Path, metavar="FILE.svg", help="draw the curves")
    arguments = options.parse_args()
    torch.manual_seed(0)
    rows: list[Row] = []
    panels: list[plot.Panel] = []
    for series in all_series(arguments.quick):
        tasks = {str(value): series.task(value) for value in series.values}
        times = compare(tasks, arguments.repeats)
        seconds = [times[str(value)] for value in series.values]
        offset, slope = plot.line(series.values, seconds)
        panels.append(plot.Panel(series.title, series.axis, list(series.values), seconds))
        rows += [
            {
                "what": series.title,
                series.axis: value,
                "seconds": measured,
                "line": offset + slope * value,
            }
            for value, measured in zip(series.values, seconds, strict=True)
        ]
    report("Growth", rows, arguments.out)
    if arguments.svg is not None:
        arguments.svg.write_text(plot.svg(panels), encoding="utf-8")


def all_series(quick: bool) -> list[Series]:
    """Faces in a picture, megapixels to search, megapixels to paste into, frames of a batch."""
    network, detector = load_codeformer("builtin"), YuNetDetector()
    person = portraits(None)

    def faces(count: float) -> Callable[[], object]:
        picture, found = torch.rand(*sides(8), 3), placed_faces(*sides(8), int(count), FACE_SIDE)
        return lambda: restore_image(picture, network, faces=found, runtime=Runtime(batch_size=8))

    def detected(megapixels: float) -> Callable[[], object]:
        picture = group_photo(*sides(megapixels), 4, person)[None]
        return lambda: detector.detect(picture)

    def restored(megapixels: float) -> Callable[[], object]:
        height, width = sides(megapixels)
        picture, found = torch.rand(height, width, 3), placed_faces(height, width, 4, FACE_SIDE)
        return lambda: restore_image(picture, network, faces=found)

    def frames(count: float) -> Callable[[], object]:
        batch = torch.rand(int(count), *FRAME, 3)
        found = placed_faces(*FRAME, 1, FACE_SIDE, int(count))
        return lambda: restore_image(batch, network, faces=found)

    if quick:
        return [Series("Frames of one face", "frames", (1, 2, 3), frames)]
    sizes = (1, 2, 4, 8, 16, 24)
    return [
        Series("Faces of an 8 MP picture", "faces", (1, 4, 8, 16, 32), faces),
        Series("Searching a picture", "megapixels", sizes, detected),
        Series("Restoring 4 faces of a picture", "megapixels", sizes, restored),
        Series("Frames of one face", "frames", (1, 8, 16, 32, 64), frames),
    ]


if __name__ == "__main__":
    main()
