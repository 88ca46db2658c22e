"""Make the pictures of docs/degradation.md: one parameter of the degradation model each.

Run from the repository: `python docs/make_degradation_pictures.py`. The photo is scikit-image's
astronaut (NASA, public domain).
"""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO, Degradation, degrade
from codeformer_core.evaluation.demo import demo_photo
from codeformer_core.images import Picture, write_picture
from codeformer_core.images.sheet import Panel, draw_sheet

FOLDER = Path(__file__).parent / "degradation"
FACE = (slice(8, 264), slice(96, 352))
"""The face in the photo and what is around it, 256 px."""
ALIGNED = (slice(40, 210), slice(138, 308))
"""About the aligned crop of the face, for which the ranges of the stages are meant: 170 px."""
WIDTH = 176
QUALITY = 85

SWEEPS: dict[str, list[dict[str, Any]]] = {
    "blur": [{"blur_x": value} for value in (0.0, 1.0, 2.0, 4.0, 7.5)],
    "anisotropic": [
        {"blur_x": 6.0, "blur_y": 1.0, "blur_angle": value} for value in (0.0, 45.0, 90.0, 135.0)
    ],
    "motion": [
        {"motion": length, "blur_angle": angle}
        for length, angle in ((8.0, 0.0), (16.0, 0.0), (16.0, 60.0), (30.0, 60.0))
    ],
    "downsample": [{"downsample": value} for value in (1.0, 2.0, 4.0, 8.0, 15.0)],
    "gaussian_noise": [{"gaussian_noise": value} for value in (0.0, 5.0, 10.0, 20.0, 40.0)],
    "sensor_noise": [{"sensor_noise": value} for value in (0.0, 5.0, 10.0, 20.0, 40.0)],
    "jpeg_quality": [{"jpeg_quality": value} for value in (95, 60, 30, 15, 5)],
    "colour_shift": [
        {"colour_shift": value}
        for value in ((25.0, 0.0, 0.0), (0.0, 25.0, 0.0), (0.0, 0.0, 25.0), (20.0, 5.0, -25.0))
    ],
    "brightness": [{"brightness": value} for value in (0.5, 0.75, 1.0, 1.25, 1.5)],
    "contrast": [{"contrast": value} for value in (0.25, 0.5, 1.0, 1.25, 1.5)],
    "saturation": [{"saturation": value} for value in (0.0, 0.5, 1.0, 1.5, 2.0)],
    "hue": [{"hue": value} for value in (-36.0, -18.0, 0.0, 18.0, 36.0)],
    "gray": [{"gray": value} for value in (False, True)],
    "strokes": [
        {"strokes": count, "stroke_width": width, "stroke_length": 200.0}
        for count, width in ((1, 15.0), (3, 15.0), (3, 40.0), (8, 40.0))
    ],
}
"""Parameters by name of the picture; one panel a setting."""


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    face = demo_photo()[FACE]
    for name, settings in SWEEPS.items():
        row = [Panel(degrade(face, Degradation(**each)), (caption(each),)) for each in settings]
        save(name, [row])
    aligned = demo_photo()[ALIGNED]
    save("stage_two", [drawn(aligned, STAGE_TWO, range(5))])
    save("stage_three_mild", [drawn(aligned, STAGE_THREE_MILD, range(5))])


def caption(setting: dict[str, Any]) -> str:
    """The values of one panel, as short as they can be."""
    return ", ".join(
        "/".join(f"{each:g}" for each in value) if isinstance(value, tuple) else f"{value:g}"
        for value in setting.values()
    )


def drawn(face: Tensor, ranges: Any, seeds: range) -> list[Panel]:
    """The face under random degradations of a stage, scaled to its size."""
    scaled = ranges.scaled(face.shape[0] / 512)
    panels = []
    for seed in seeds:
        degradation = scaled.draw(np.random.default_rng(seed))
        panels.append(Panel(degrade(face, degradation, seed), (f"seed {seed}",)))
    return panels


def save(name: str, rows: list[list[Panel]]) -> None:
    """Write one picture and say how large it is."""
    path = FOLDER / f"{name}.jpg"
    write_picture(path, Picture(draw_sheet(rows, WIDTH)), quality=QUALITY)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
