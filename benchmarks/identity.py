"""Whether restored people are themselves: without help, with references, with a personal adapter.

    python benchmarks/identity.py --faces FACES --work DIR --people 4 --minutes 60

FACES holds index.csv (split, file, person) and a folder for each split. The people are those whose
number is divisible by 5 and who were photographed at least three times; nothing is ever tuned on
them. Of each, the first photo is degraded with fixed seeds and restored; the others are the
references, and what the adapter learns from (with mirror images, where they are fewer than three).
Distances are of descriptors: to the clean photo itself, which nothing has seen, and to the others;
by dlib's network, whose loss the adapter learns by, and by FaceNet, which it never saw, where that
is installed (see `recognisers.py`).
The wrong adapter is that of the next person: what it changes is invented.

With --clips instead, every video shows one person: its frames have many expressions and one light,
where photos lie years apart.

DIR keeps adapters, states and results; the same command goes on. --minutes is for all the learning,
--each for one person at most. Without --faces and --clips: the astronaut, as three people.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import scenes
import torch
from recognisers import Embed, all_recognisers
from side_by_side import Row, parser, report
from torch import Tensor

from codeformer_core import load_codeformer, load_detector
from codeformer_core.degradation import STAGE_THREE_MILD, STAGE_TWO
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.faces import crop_faces
from codeformer_core.images import from_network, read_picture, resize, to_network
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance, psnr
from codeformer_core.models.load import find_restorer
from codeformer_core.models.restorer import Restorer
from codeformer_core.networks import CodeFormer
from codeformer_core.people import Person, describe_crops
from codeformer_core.people.adapters import Adapter, read_adapter, save_adapter
from codeformer_core.people.knowing import References, with_references
from codeformer_core.people.recogniser import Whom
from codeformer_core.people.restorer import PeopleRestorer, Told
from codeformer_core.pipeline import restore_crops
from codeformer_core.pipeline.automatic import Automatic
from codeformer_core.runtime import Runtime
from codeformer_core.training.personal import PersonalSettings
from codeformer_core.training.personalize import FEWEST_PHOTOS, forget, personalize
from codeformer_core.video.reading import inspect_video, read_frames

STRENGTHS = {"strong": STAGE_TWO, "middling": STAGE_THREE_MILD}
FIDELITY = 0.5
KEPT_APART = 5
SEED = 11
SIZE = 512
OWN = "adapter"

FRAMES = 6
"""Of a clip: one to restore, the others to know the person by."""

Photos = dict[str, Callable[[], list[Tensor]]]
"""What gives the photos, (S, S, 3) each, of everybody by name."""
Restore = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One person."""

    name: str
    clean: Tensor
    """(S, S, 3): the photo that is degraded and restored."""
    person: Person
    """The other photos."""


def main() -> None:
    """Learn, restore, measure, report."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, help="folder with index.csv")
    options.add_argument("--clips", type=Path, nargs="+", help="videos of one person each")
    options.add_argument("--work", type=Path, default=Path("identity"), help="keeps what is done")
    options.add_argument("--model", default="builtin", help="a CodeFormer (default: builtin)")
    options.add_argument("--people", type=int, default=4, help="how many (default: 4)")
    options.add_argument("--minutes", type=float, default=60.0, help="of learning, in all")
    options.add_argument("--each", type=float, default=30.0, help="of learning, a person at most")
    options.add_argument("--looks", type=int, default=6, help="degradations of each photo")
    arguments = options.parse_args()
    identity = IdentityNetwork()
    cases = list(people(photos_of(arguments), 2 if arguments.quick else arguments.people, identity))
    arguments.work.mkdir(parents=True, exist_ok=True)
    adapters = learn(cases, arguments)
    rows = [
        row
        for place, case in enumerate(cases)
        for row in results(case, adapters, cases[(place + 1) % len(cases)].name, arguments)
    ]
    report(f"The same person, {len(cases)} people, {arguments.model}", means(rows), arguments.out)


def photos_of(arguments: argparse.Namespace) -> Photos:
    """Where the people come from."""
    if arguments.clips:
        return {path.stem: partial(_frames, path) for path in arguments.clips}
    return _listed(arguments.faces) if arguments.faces else _astronaut()


def people(photos: Photos, count: int, identity: IdentityNetwork) -> Iterator[Case]:
    """Some of the people, in an order of chance."""
    for name in random.Random(SEED).sample(sorted(photos), min(count, len(photos))):
        crops = torch.cat([resize(each[None], SIZE, SIZE) for each in photos[name]()])
        clean, others = crops[0], crops[1:]
        mirrored = others.flip(2)[: max(0, FEWEST_PHOTOS - len(others))]
        others = torch.cat([others, mirrored])
        yield Case(name, clean, Person(others, describe_crops(others, identity)))


def _listed(folder: Path) -> Photos:
    """Photos, (S, S, 3) each, of everybody who is kept apart and has enough of them, by number."""
    paths: dict[str, list[Path]] = defaultdict(list)
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["person"] and int(row["person"]) % KEPT_APART == 0:
                paths[row["person"]].append(folder / row["split"] / row["file"])

    def reader(files: list[Path]) -> Callable[[], list[Tensor]]:
        return lambda: [read_picture(path).pixels[..., :3] for path in files]

    return {name: reader(files) for name, files in paths.items() if len(files) >= FEWEST_PHOTOS}


def _frames(path: Path) -> list[Tensor]:
    """The aligned face in frames from all over a video."""
    information = inspect_video(path)
    wanted = {information.frames * (2 * place + 1) // (2 * FRAMES) for place in range(FRAMES)}
    detector = load_detector("yunet")
    crops: list[Tensor] = []
    for frame in read_frames(information):
        if frame.index in wanted:
            pixels = torch.from_numpy(frame.picture.to_ndarray(format="rgb24"))[None] / 255
            crops += crop_faces(pixels, detector.detect(pixels), SIZE)[:1]
    return crops


def _astronaut() -> Photos:
    """The astronaut in three lights, three times."""
    photo = scenes.portraits(None)[0][None]
    face = crop_faces(photo, load_detector("yunet").detect(photo), SIZE)[0]
    return {name: lambda: [face, 0.8 * face, face.flip(1)] for name in ("a", "b", "c")}


def learn(cases: list[Case], arguments: argparse.Namespace) -> dict[str, Adapter]:
    """The adapter of everybody for whom there is time; those that are there are read."""
    base, ends = find_restorer(arguments.model), time.monotonic() + 60 * arguments.minutes
    settings = PersonalSettings()
    if arguments.quick:
        settings = replace(settings, steps=1, batch_size=2, looks=1)
    adapters: dict[str, Adapter] = {}
    for case in cases:
        path = arguments.work / f"{base.stem}_{case.name}.safetensors"
        left = min(arguments.each, (ends - time.monotonic()) / 60)
        if not path.exists() and left > 0:
            adapter = personalize(
                base,
                case.person,
                settings=settings,
                folder=path.with_suffix(".run"),
                minutes=left,
                on_look=lambda look, name=case.name: print(name, look, flush=True),
            )
            save_adapter(path, adapter)
            forget(path.with_suffix(".run"))
        if path.exists():
            adapters[case.name] = read_adapter(path)
    return adapters


def results(
    case: Case, adapters: dict[str, Adapter], next_name: str, arguments: argparse.Namespace
) -> list[Row]:
    """All ways and strengths for one person; measured once, kept as JSON."""
    named = {OWN: adapters.get(case.name), "wrong person's adapter": adapters.get(next_name)}
    there = {name: adapter for name, adapter in named.items() if adapter is not None}
    network, identity = load_codeformer(arguments.model), IdentityNetwork()
    recognisers = all_recognisers(identity)
    stem = "_".join([find_restorer(arguments.model).stem, case.name, *recognisers])
    path = arguments.work / f"{stem}_{len(there)}_{arguments.looks}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    rows: list[Row] = []
    for strength, ranges in STRENGTHS.items():
        clean = resize(case.clean[None], network.size, network.size)
        clean = clean.expand(1 if arguments.quick else arguments.looks, -1, -1, -1)
        degraded = degrade_faces(clean, ranges, SEED, sum(case.name.encode()))
        for way, restore in ways(network, identity, case.person, there).items():
            rows += measured(strength, way, restore(degraded), clean, case.person, recognisers)
    path.write_text(json.dumps(rows), encoding="utf-8")
    return rows


def ways(
    network: CodeFormer, identity: IdentityNetwork, person: Person, adapters: dict[str, Adapter]
) -> dict[str, Restore]:
    """Everything that is compared, by name."""
    runtime, references = Runtime(), References((person,), identity)

    def at(model: CodeFormer) -> Restore:
        return lambda faces: restore_crops(model, faces, FIDELITY, runtime=runtime)

    def by_itself(model: Restorer) -> Restore:
        automatic = Automatic(identity, (person,) if model is not network else ())
        return lambda faces: restore_crops(model, faces, automatic, runtime=runtime)

    def drawn(model: CodeFormer) -> Restore:
        knowing = with_references(model, references)
        if not isinstance(knowing, PeopleRestorer):
            raise SystemExit("there is no conditioning on references for this model")

        @torch.no_grad()
        def restore(faces: Tensor) -> Tensor:
            shown = Told(knowing, [Whom(reference=1)] * len(faces))
            return from_network(shown(to_network(faces), FIDELITY))

        return restore

    return {
        "degraded input": lambda faces: faces,
        f"without, w = {FIDELITY}": at(network),
        "without, automatic fidelity": by_itself(network),
        f"references, w = {FIDELITY}": drawn(network),
        "references, automatic fidelity": by_itself(with_references(network, references)),
        **{f"{name}, w = {FIDELITY}": at(each.apply(network)) for name, each in adapters.items()},
        **{
            f"{name} and references, w = {FIDELITY}": drawn(each.apply(network))
            for name, each in adapters.items()
            if name == OWN
        },
    }


def measured(
    strength: str,
    way: str,
    faces: Tensor,
    clean: Tensor,
    person: Person,
    recognisers: dict[str, Embed],
) -> list[Row]:
    """What is told of restored faces, one row each."""
    columns = {
        "perceptual": PerceptualDistance(EVALUATION_BACKBONE).distance(clean, faces),
        "PSNR, dB": psnr(faces, clean),
    }
    for name, embed in recognisers.items():
        found = embed(faces)
        columns[f"{name}, to the clean photo"] = (found - embed(clean[:1])).norm(dim=1)
        columns[f"{name}, to other photos"] = torch.cdist(found, embed(person.crops)).mean(1)
    return [
        {
            "damage": strength,
            "way": way,
            **{column: float(values[place]) for column, values in columns.items()},
        }
        for place in range(len(faces))
    ]


def means(rows: list[Row]) -> list[Row]:
    """Means over people and degradations."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["damage"], row["way"]].append(row)
    return [
        {"damage": damage, "way": way, "faces": len(group)}
        | {
            name: sum(row[name] for row in group) / len(group)
            for name in group[0]
            if name not in ("damage", "way")
        }
        for (damage, way), group in groups.items()
    ]


if __name__ == "__main__":
    main()
