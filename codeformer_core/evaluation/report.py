"""An evaluation on disk: numbers for tools, a table and a contact sheet for people."""

import json
import math
from pathlib import Path
from typing import Any

from ..images import Picture, atomic_write, write_picture
from .evaluate import Evaluation

BETTER = {"PSNR": "up", "SSIM": "up", "codes used": "up"}
"""Measures that are better when larger; the others are better when smaller."""
ARROWS = {"up": "↑", "down": "↓"}
DIGITS = {"PSNR": 2, "FID": 1, "FD": 1, "codes used": 2}
"""Behind the point, by the first word of a measure or by all of it."""
SHEET_QUALITY = 88


def write_report(evaluation: Evaluation, out: Path, about: dict[str, Any]) -> list[Path]:
    """Write `evaluation.json`, `evaluation.md` and `sheet.jpg`.

    Args:
        evaluation: what was measured.
        out: folder, which must be there.
        about: how it was measured: model, data, degradation.

    Returns:
        The files.

    Raises:
        PictureError: a file cannot be written.
    """
    paths = [out / name for name in ("evaluation.json", "evaluation.md", "sheet.jpg")]
    texts = (as_json(evaluation, about), as_markdown(evaluation, about))
    for path, text in zip(paths, texts, strict=False):
        with atomic_write(path) as file:
            file.write(text.encode())
    write_picture(paths[2], Picture(evaluation.sheet), quality=SHEET_QUALITY)
    return paths


def as_json(evaluation: Evaluation, about: dict[str, Any]) -> str:
    """The numbers, with null for what could not be measured."""
    rows = {
        name: {measure: value if math.isfinite(value) else None for measure, value in row.items()}
        for name, row in evaluation.rows.items()
    }
    numbers = {"faces": evaluation.faces, "size": evaluation.size, "seed": evaluation.seed}
    return json.dumps({**about, **numbers, "rows": rows}, indent=2) + "\n"


def as_markdown(evaluation: Evaluation, about: dict[str, Any]) -> str:
    """The numbers as a table."""
    measures = list(dict.fromkeys(name for row in evaluation.rows.values() for name in row))
    heads = [f"{name} {ARROWS[BETTER.get(name, 'down')]}" for name in measures]
    lines = [
        f"{evaluation.faces} faces at {evaluation.size} px, seed {evaluation.seed}. "
        + ". ".join(f"{name.capitalize()}: {value}" for name, value in about.items())
        + ".",
        "",
        "| | " + " | ".join(heads) + " |",
        "|---|" + "---:|" * len(heads),
    ]
    for name, row in evaluation.rows.items():
        cells = [_cell(measure, row.get(measure)) for measure in measures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(measure: str, value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    digits = DIGITS.get(measure, DIGITS.get(measure.split()[0], 3))
    return f"{value:.{digits}f}"
