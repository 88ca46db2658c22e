"""What the card of the built-in model tells of small faces and of colours.

    python benchmarks/model_card.py --faces EVALUATION_FACES --before FORMER.safetensors

Small faces: photos scaled to a side, not damaged or mildly, restored, and compared at that side;
with --before by another model, too. Colours: how far the means of L*, a* and b* are off in faces
that are damaged strongly or not at all, over the face for the darkest and the lightest quarter of
them, over the irises for the bluest and the brownest third. (`codeformer evaluate` and
`recognisers.py` make the other tables.) Seeds are fixed. Without --faces: the astronaut's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from fidelity import clean_faces
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer
from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.faces import geometry_mask
from codeformer_core.faces.colour import rgb_to_lab
from codeformer_core.images import resize, to_network
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance, psnr
from codeformer_core.models.restorer import Restorer
from codeformer_core.pipeline import restore_crops
from codeformer_core.training.validation import iris_lab

SIDES = (64, 96, 128, 192)
FIDELITIES = (0.5, 1.0)
SMALL_FACES, COLOURED_FACES = 24, 88
SEED = 0


def main() -> None:
    """Measure."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--before", help="another one to compare with")
    arguments = options.parse_args()
    models = {"model": load_codeformer(arguments.model)}
    if arguments.before:
        models |= {"before": load_codeformer(arguments.before)}
    limits = (1, 4) if arguments.quick else (SMALL_FACES, COLOURED_FACES)
    small, coloured = (
        torch.stack([*clean_faces(arguments.faces, models["model"].size, limit)])
        for limit in limits
    )
    report("Small faces", small_faces(models, small), arguments.out)
    report("Colours", colours(models["model"], coloured))


def small_faces(models: dict[str, Restorer], clean: Tensor) -> list[Row]:
    """A row for each side, damage, model and fidelity."""
    identity, perceptual = IdentityNetwork(), PerceptualDistance(EVALUATION_BACKBONE)
    rows: list[Row] = []
    for side in SIDES:
        truth = resize(clean, side, side)
        for damage, ranges in (("none", None), ("mild", STAGE_THREE_MILD)):
            inputs = degrade_faces(truth, ranges, SEED, 0) if ranges else truth
            ways = {("input", ""): inputs} | {
                (name, w): resize(restore_crops(model, inputs, w), side, side)
                for name, model in models.items()
                for w in FIDELITIES
            }
            rows += [
                {
                    "side": side,
                    "damage": damage,
                    "by": name,
                    "w": w,
                    "PSNR": float(psnr(found, truth).nanmean().clamp(max=99)),
                    "perceptual": float(perceptual.distance(truth, found).mean()),
                    "identity": float(identity.distance(truth, found).mean()),
                }
                for (name, w), found in ways.items()
            ]
    return rows


def colours(model: Restorer, clean: Tensor) -> list[Row]:
    """Mean differences to the clean faces, over quarters of them by lightness."""
    truth, irises = face_means(clean), iris_lab(to_network(clean))
    order, quarter = truth[:, 0].argsort(), len(clean) // 4
    quarters = {"darkest quarter": order[:quarter], "lightest quarter": order[-quarter:]}
    order, third = irises[:, 2].argsort(), len(clean) // 3
    thirds = {
        "bluest irises": order[:third],
        "irises between": order[third:-third],
        "brownest irises": order[-third:],
    }
    damaged = degrade_faces(clean, STAGE_TWO, SEED, 0)
    rows: list[Row] = []
    for w in FIDELITIES:
        for damage, inputs in (("strong", damaged), ("none", clean)):
            found = restore_crops(model, inputs, w)
            of_irises = iris_lab(to_network(found)) - irises
            apart = ((face_means(found) - truth, quarters), (of_irises, thirds))
            for differences, groups in apart:
                for name, places in groups.items():
                    means = differences[places].mean(0).tolist()
                    means = dict(zip(("L*", "a*", "b*"), means, strict=True))
                    rows.append({"faces": name, "damage": damage, "w": w} | means)
    return rows


def face_means(faces: Tensor) -> Tensor:
    """(N, 3): mean L*, a*, b* over the face of (N, S, S, 3) aligned crops."""
    inside = geometry_mask(faces.shape[1]).squeeze() > 0.5
    return rgb_to_lab(faces)[:, inside].mean(1)


if __name__ == "__main__":
    main()
