"""Make docs/expressions.jpg: faces as portraits rarely are, damaged and restored.

Run from the repository: `python docs/make_expression_sheet.py`. The photo is scikit-image's
astronaut (NASA, public domain); her eyes and mouth are moved, and things laid before her, as
training does it.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codeformer_core import load_codeformer, load_detector
from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO
from codeformer_core.evaluation.demo import demo_photo
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.faces import crop_faces
from codeformer_core.images import Picture, write_picture
from codeformer_core.images.sheet import Panel, draw_sheet
from codeformer_core.pipeline import restore_crops
from codeformer_core.training.occluders import Things, covered
from codeformer_core.training.warps import Moves, moved_grid, sample

FILE = Path(__file__).parent / "expressions.jpg"
FIDELITY, SEED = 0.5, 3
WIDTH, QUALITY = 140, 85
FACES: dict[str, dict[str, Any]] = {
    "eyes closed": {"left_lids": 1.0, "right_lids": 1.0},
    "half closed": {"left_lids": 0.5, "right_lids": 0.5},
    "a wink": {"right_lids": 1.0},
    "mouth closed": {"mouth_opening": -1.0},
    "mouth open": {"mouth_opening": 1.0},
    "a crooked mouth": {"mouth_x": 1.0, "mouth_y": -0.5},
    "corners down": {"smile": -1.0, "mouth_opening": -0.6},
    "eyes closed, laughing": {"left_lids": 1.0, "right_lids": 1.0, "mouth_opening": 0.8},
    "a thing on the mouth": {
        "thing": {"direction": 0.2, "end_direction": 0.25, "end_distance": 0.6}
    },
    "a thing on an eye": {"thing": {"direction": 0.9, "end_direction": 0.88, "end_distance": 0.35}},
    "a dark thing": {
        "thing": {"direction": 0.35, "end_direction": 0.4, "end_distance": 0.5, "flat": 1.0}
    },
    "hair in the face": {
        "thing": {"direction": 0.75, "end_direction": 0.1, "end_distance": 0.3, "width": 0.1}
        | {"fill_y": 0.2}
    },
}
"""By name what is moved (`Moves`) or laid over the face (`Things`)."""


def main() -> None:
    """Draw a row for each face."""
    photo = demo_photo()[None]
    network = load_codeformer("builtin")
    face = crop_faces(photo, load_detector("yunet").detect(photo), network.size)
    clean = torch.cat([changed(face, dict(change)) for change in FACES.values()])
    mild, strong = (degrade_faces(clean, each, SEED, 0) for each in (STAGE_THREE_MILD, STAGE_TWO))
    columns = {
        "": clean,
        "mildly damaged": mild,
        "restored": restore_crops(network, mild, FIDELITY),
        "strongly damaged": strong,
        "restored ": restore_crops(network, strong, FIDELITY),
    }
    rows = [
        [Panel(faces[place], (title or name,)) for title, faces in columns.items()]
        for place, name in enumerate(FACES)
    ]
    half = len(rows) // 2
    sheet = draw_sheet(
        [left + right for left, right in zip(rows[:half], rows[half:], strict=True)], WIDTH
    )
    write_picture(FILE, Picture(sheet), quality=QUALITY)
    print(f"{FILE.name}: {FILE.stat().st_size / 1024:.0f} KB")


def changed(face: Tensor, change: dict[str, Any]) -> Tensor:
    """(1, S, S, 3) with parts moved, or with a thing before it."""
    planes, thing = face.movedim(-1, 1), change.pop("thing", None)
    if thing:
        planes = covered(
            planes, numbers(Things, {"there": 1.0, "width": 0.7, "fill_x": 0.5, **thing})
        )
    else:
        planes = sample(planes, moved_grid(numbers(Moves, change), face.shape[1], parts=True))
    return planes.clamp(0, 1).movedim(1, -1)


def numbers(kind: Any, given: dict[str, float]) -> Any:
    """A batch of one; what is not given is 0."""
    return kind(*(torch.tensor([given.get(name, 0.0)]) for name in kind._fields))


if __name__ == "__main__":
    main()
