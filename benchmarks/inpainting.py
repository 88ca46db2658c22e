"""What a model that was not trained to fill holes brings to hidden parts of faces.

    python benchmarks/inpainting.py --faces EVALUATION_FACES --limit 40

Clean faces are hidden by scratches, by brush strokes and by blocks over their features, with fixed
seeds, and filled: by the model as it sees them (white), by their surroundings alone, by OpenCV's
inpainting (A. Telea, 2004), and by `inpaint`. Everything outside of the hole is the clean face's.
PSNR is of the hole alone, the distances are of the whole face. Without --faces: the astronaut's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from fidelity import clean_faces
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer
from codeformer_core.degradation import Degradation
from codeformer_core.degradation.brush import stroke_mask
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance
from codeformer_core.pipeline import inpaint, restore_crops
from codeformer_core.pipeline.first_guess import spread
from codeformer_core.pipeline.inpainting import composite, hide

SEED = 17
STROKES = {"scratches": 0.02, "strokes": 0.1}
"""Widths as shares of the crop."""
BLOCK_SIDES, BLOCK_PLACES = (0.2, 0.4), (0.25, 0.85)
"""Shares of the crop: least and largest side of a block, and between what they lie."""
TELEA_RADIUS = 5

Fill = Callable[[Tensor, Tensor], Tensor]
"""(1, S, S, 3) faces and (1, S, S) masks to filled faces."""


def main() -> None:
    """Hide, fill, measure, report."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--limit", type=int, default=40, help="faces at most (default: 40)")
    arguments = options.parse_args()
    network = load_codeformer(arguments.model)
    ways: dict[str, Fill] = {
        "hidden in white": hide,
        "restored, hidden in white": lambda faces, masks: restore_crops(
            network, hide(faces, masks), 1.0
        ),
        "surroundings alone": lambda faces, masks: spread(faces, masks == 0),
        "OpenCV's inpainting": telea,
        "inpaint": lambda faces, masks: inpaint(network, faces, masks).images,
    }
    identity, perceptual = IdentityNetwork(), PerceptualDistance(EVALUATION_BACKBONE)
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    limit = 1 if arguments.quick else arguments.limit
    for clean, hidden, masks in holes(arguments.faces, network.size, limit):
        for way, fill in ways.items():
            filled = composite(clean, fill(clean, masks), masks)
            error = (filled - clean)[masks > 0].square().mean()
            apart = (identity.embed(filled) - identity.embed(clean)).norm(dim=1)
            found[hidden, way].append(
                (
                    float(-10 * error.log10()),
                    float(perceptual.distance(clean, filled)),
                    float(apart),
                )
            )
    rows = [_row(*key, numbers) for key, numbers in found.items()]
    report(f"Filling holes, {limit} faces, {arguments.model}", rows, arguments.out)


def holes(folder: Path | None, size: int, limit: int) -> Iterator[tuple[Tensor, str, Tensor]]:
    """Clean faces (1, S, S, 3), what hides them, and where (1, S, S)."""
    for number, face in enumerate(clean_faces(folder, size, limit)):
        random = np.random.default_rng((SEED, number))
        for name, width in STROKES.items():
            strokes = Degradation(strokes=4, stroke_width=width * size, stroke_length=size)
            mask = torch.from_numpy(stroke_mask(size, size, strokes, random))
            if mask.any():
                yield face[None], name, mask[None]
        yield face[None], "block", block(size, random)[None]


def block(size: int, random: np.random.Generator) -> Tensor:
    """(S, S): 1 in a rectangle over some features."""
    sides = random.uniform(*BLOCK_SIDES, 2)
    top, left = (random.uniform(BLOCK_PLACES[0], BLOCK_PLACES[1] - side) for side in sides)
    mask = torch.zeros(size, size)
    rows, columns = (
        slice(int(start * size), int((start + side) * size))
        for start, side in zip((top, left), sides, strict=True)
    )
    mask[rows, columns] = 1
    return mask


def telea(faces: Tensor, masks: Tensor) -> Tensor:
    """OpenCV's, of the very pictures rounded to 8 bits."""
    pixels = (faces[0].numpy() * 255).round().astype(np.uint8)
    where = (masks[0].numpy() > 0).astype(np.uint8)
    filled = cv2.inpaint(pixels, where, TELEA_RADIUS, cv2.INPAINT_TELEA)
    return torch.from_numpy(filled).float()[None] / 255


def _row(hidden: str, way: str, numbers: list[tuple[float, float, float]]) -> Row:
    psnr, perceptual, identity = (sum(each) / len(each) for each in zip(*numbers, strict=True))
    return {
        "hidden by": hidden,
        "filled": way,
        "PSNR of the hole, dB": psnr,
        "perceptual": perceptual,
        "identity": identity,
    }


if __name__ == "__main__":
    main()
