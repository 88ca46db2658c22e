"""Whether the automatic fidelity beats every fixed one, on faces degraded strongly and mildly.

    python benchmarks/fidelity.py --faces TRAINING_FACES --fit
    python benchmarks/fidelity.py --faces EVALUATION_FACES

The first line fits the constants of `codeformer_core/pipeline/automatic.py` to training faces; the
second measures. Each face is degraded by stage II's ranges and by the mild ones of stage III, with
fixed seeds. What counts is the mean of the perceptual (EfficientNet-lite0) and the
identity distance to the clean face. Differences to the automatic fidelity are of the same faces, so
their standard errors are small. --keep FILE keeps what was seen: the same command goes on, and the
same file can be fitted to again. Without --faces: the astronaut's.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import scenes
import torch
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer, load_detector
from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO
from codeformer_core.evaluation.evaluate import degrade_faces, find_faces
from codeformer_core.faces import crop_faces
from codeformer_core.images import from_network, read_picture, resize, to_network
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance
from codeformer_core.networks import CodeFormer
from codeformer_core.pipeline.automatic import LADDER, best_steps, cost_terms
from codeformer_core.runtime import fastest_dtype

STRENGTHS = {"strong": STAGE_TWO, "mild": STAGE_THREE_MILD}
FINE = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
"""The fixed fidelities to compare with; every one of LADDER is among them."""
SEED = 7


@dataclass(frozen=True)
class Seen:
    """One degraded face at all fidelities."""

    strength: str
    perceptual: Tensor
    """(F,) distance to the clean face, by fidelity of FINE."""
    identity: Tensor
    """(F,) the same of the descriptors."""
    likeness: Tensor
    """(L,) distance to the person in the input, by fidelity of LADDER."""

    @property
    def cost(self) -> Tensor:
        """(F,) what counts."""
        return (self.perceptual + self.identity) / 2


def main() -> None:
    """Fit or measure, and report."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder with aligned faces")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--limit", type=int, default=400, help="faces at most (default: 400)")
    options.add_argument("--minutes", type=float, default=60, help="at most (default: 60)")
    options.add_argument("--first", type=int, default=0, help="number of the first face")
    options.add_argument("--keep", type=Path, nargs="+", default=[], help="files of what was seen")
    options.add_argument("--fit", action="store_true", help="fit the constants to these faces")
    arguments = options.parse_args()
    seen = kept(arguments.keep)
    if len(arguments.keep) < 2:
        seen = look(arguments, seen)
    rows = fitted(seen) if arguments.fit else measured(seen)
    report(f"Fidelity, {len(seen)} faces, {arguments.model}", rows, arguments.out)


def kept(files: list[Path]) -> list[Seen]:
    """What earlier runs saw; several files are only read."""
    rows = [row for path in files if path.exists() for row in torch.load(path, weights_only=True)]
    return [Seen(*row) for row in rows]


def look(arguments: argparse.Namespace, seen: list[Seen]) -> list[Seen]:
    """Degrade faces, restore them at all fidelities, and add what is seen of them."""
    network = load_codeformer(arguments.model, dtype=fastest_dtype("cpu"))
    identity, perceptual = IdentityNetwork(), PerceptualDistance(EVALUATION_BACKBONE)
    ends = time.monotonic() + 60 * arguments.minutes
    first, limit = arguments.first, 1 if arguments.quick else arguments.limit
    for number, clean in enumerate(clean_faces(arguments.faces, network.size, first + limit)):
        if number < first + len(seen) // len(STRENGTHS):
            continue
        if time.monotonic() > ends:
            break
        for strength in STRENGTHS:
            with torch.no_grad():
                seen.append(_look(network, identity, perceptual, clean[None], strength, number))
        if arguments.keep and number % 5 == 0:
            torch.save([tuple(vars(face).values()) for face in seen], arguments.keep[0])
            print(f"{len(seen)} faces", file=sys.stderr, flush=True)
    return seen


def _look(
    network: CodeFormer,
    identity: IdentityNetwork,
    perceptual: PerceptualDistance,
    clean: Tensor,
    strength: str,
    number: int,
) -> Seen:
    degraded = degrade_faces(clean, STRENGTHS[strength], SEED, number)
    codes = network.encode(to_network(degraded))
    faces = from_network(torch.cat([network.decode(codes, w).float() for w in FINE]))
    found, (truth, before) = identity.embed(faces), identity.embed(torch.cat([clean, degraded]))
    likeness = (found - before).norm(dim=1)
    return Seen(
        strength,
        perceptual(to_network(faces), to_network(clean)).double(),
        (found - truth).norm(dim=1).double(),
        likeness[[FINE.index(w) for w in LADDER]],  # as `Automatic.distances` has it
    )


def clean_faces(folder: Path | None, size: int, limit: int) -> Iterator[Tensor]:
    """Faces of a folder in an order that mixes its sources, (S, S, 3) each; or the astronaut's."""
    if folder is None:
        photo = scenes.portraits(None)[0][None]
        face = crop_faces(photo, load_detector("yunet").detect(photo), size)[0]
        yield from [face] * limit
        return
    paths = find_faces(folder, size)
    random.Random(SEED).shuffle(paths)
    for path in paths[:limit]:
        yield resize(read_picture(path).pixels[None, ..., :3], size, size)[0]


def fitted(seen: list[Seen]) -> list[Row]:
    """The constants of `best_steps` by least squares, and what their choice costs these faces.

    Fidelity 0 is left out, which is hardly ever chosen and would be followed most.
    """
    steps = [FINE.index(fidelity) for fidelity in LADDER]
    cost = torch.stack([face.cost[steps] for face in seen])
    terms = cost_terms(torch.stack([face.likeness for face in seen])).double()
    later = slice(1, -1)
    above = (cost - cost[:, -1:])[:, later].flatten()
    known = (terms - terms[:, -1:])[:, later].flatten(0, 1)
    constants = torch.linalg.lstsq(known, above[:, None]).solution[:, 0]
    chosen = cost.gather(1, (terms @ constants).argmin(1, keepdim=True))
    names = ("OF_LIKENESS", "OF_SHORTFALL", "OF_DAMAGE", "OF_ITS_SQUARE")
    row = {name: f"{value:.4f}" for name, value in zip(names, constants.tolist(), strict=True)}
    row |= {"cost": f"{float(chosen.mean()):.5f}"}
    return [row | {"best fixed of these": f"{float(cost.mean(0).min()):.5f}"}]


def measured(seen: list[Seen]) -> list[Row]:
    """The cost of every fixed fidelity and of the automatic one."""
    places = best_steps(torch.stack([face.likeness for face in seen]))
    chosen = [FINE.index(LADDER[place]) for place in places.tolist()]
    own = torch.stack([face.cost[step] for face, step in zip(seen, chosen, strict=True)])
    rows: list[Row] = [_row("automatic", seen, chosen, own)]
    rows += [_row(f"w = {w:g}", seen, [step] * len(seen), own) for step, w in enumerate(FINE)]
    return rows


def _row(name: str, seen: list[Seen], steps: list[int], own: Tensor) -> Row:
    pairs = list(zip(seen, steps, strict=True))
    cost = torch.stack([face.cost[step] for face, step in pairs])
    apart = cost - own
    row: Row = {
        "fidelity": name,
        "perceptual": float(torch.stack([face.perceptual[step] for face, step in pairs]).mean()),
        "identity": float(torch.stack([face.identity[step] for face, step in pairs]).mean()),
        "mean of both": f"{float(cost.mean()):.5f}",
        "worse than automatic by": f"{float(apart.mean()):.5f}",
        "standard error": f"{float(apart.std()) / math.sqrt(len(seen)):.5f}",
        "mean w": sum(FINE[step] for step in steps) / len(steps),
    }
    for strength in STRENGTHS:
        of_these = torch.tensor([face.strength == strength for face in seen])
        row[strength] = f"{float(cost[of_these].mean()):.5f}"
    return row


if __name__ == "__main__":
    main()
