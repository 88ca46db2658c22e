"""Whether a restorer that is shown the person restores the person: an experiment, nothing shipped.

    python benchmarks/references.py --faces FACES --weights person.pt --minutes 42
    python benchmarks/references.py --faces FACES --weights person.pt --minutes 0 --people 20

FACES is as for `identity.py`; people whose number is divisible by 5 are kept apart. The built-in
model stays as it is. Behind its generator's features at 16 and 32 px stand small networks that
begin without effect. They scale and shift by the mean descriptor of reference photos; with
--attention they also look at the encoder's features of the photos. They learn from pairs of photos
of one person, and for everybody else from the face and its own descriptor, by L1, perceptual and
identity losses; one reference in eight is of somebody else. --minutes 0 only measures.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import torch
from identity import FIDELITY, KEPT_APART, STRENGTHS
from recognisers import all_recognisers
from side_by_side import Row, parser, report
from torch import Tensor, nn
from torch.nn import functional as F

from codeformer_core.degradation import STAGE_TWO, BatchRandom, degrade_batch
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.images import from_network, read_picture, resize, to_network
from codeformer_core.metrics import EVALUATION_BACKBONE, IdentityNetwork, PerceptualDistance, psnr
from codeformer_core.models import load_network
from codeformer_core.models.load import find_restorer
from codeformer_core.networks import CodeFormer
from codeformer_core.networks.layers import adaptive_instance_norm
from codeformer_core.training.augmentation import LOOK, Augmentation
from codeformer_core.training.config import LossWeights, RunConfig
from codeformer_core.training.data import Mixture
from codeformer_core.training.image_losses import ImageLosses
from codeformer_core.training.operations import OPERATIONS
from codeformer_core.training.operations import ChannelsLastGroupNorm as Norm

SIDES = (16, 32)
BATCH = 6
LEARNING_RATE = 1e-3
STRANGERS = 0.12
"""Share of references that are of somebody else: what is told of a person may be wrong."""
MOST_PHOTOS = 3
LOOKS = Augmentation(flip=0.5, warp=0.5, colour=0.15, hue=0.02, eyelids=0.05, mouth=0.1)
LOSSES = LossWeights(pixel=1.0, perceptual=0.7, identity=1.5)
DESCRIPTOR = 128


class Attention(nn.Module):
    """Looks at the features of references: (B, 2C, s, s) and (B, K, C, s, s) to (B, W, s, s)."""

    def __init__(self, channels: int, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads, self.norm = heads, Norm(8, channels)
        self.query = nn.Conv2d(2 * channels, width, 1)
        self.key, self.value = nn.Conv2d(channels, width, 1), nn.Conv2d(channels, width, 1)
        self.places = nn.Parameter(0.3 * torch.randn(1, width, SIDES[0], SIDES[0]))

    def forward(self, features: Tensor, references: Tensor) -> Tensor:
        """Attend, heads apart."""
        side = features.shape[-1]
        # A copy, since PyTorch's GroupNorm is confused by the strides of a batch of one.
        known = self.norm(references.flatten(0, 1).clone(memory_format=torch.channels_last))
        places = F.interpolate(self.places, (side, side), mode="bilinear")
        query = self._tokens(self.query(features) + places, len(features))
        keys = self._tokens(self.key(known) + places, len(features))
        values = self._tokens(self.value(known), len(features))
        attended = F.scaled_dot_product_attention(query, keys, values)
        return attended.transpose(2, 3).reshape(len(features), -1, side, side)

    def _tokens(self, maps: Tensor, count: int) -> Tensor:
        """(B * K, W, s, s) to (B, heads, K * s * s, W / heads)."""
        tokens = maps.unflatten(0, (count, -1)).movedim(2, -1).flatten(1, 3)
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Knowing(nn.Module):
    """F_d + gate * out(F_d, F_e, person), at one side."""

    def __init__(self, channels: int, attention: bool) -> None:
        super().__init__()
        inner = 2 * channels
        self.norm = Norm(8, inner)
        self.attention = Attention(channels) if attention else None
        self.joint = nn.Conv2d(inner + 64 * attention, inner, 1)
        self.person = nn.Sequential(
            nn.Linear(DESCRIPTOR, 256), nn.SiLU(), nn.Linear(256, 2 * inner)
        )
        self.gate, self.out = nn.Conv2d(inner, 1, 1), nn.Conv2d(inner, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # pyright: ignore[reportArgumentType]
        nn.init.ones_(self.gate.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, decoded: Tensor, encoded: Tensor, known: Tensor, person: Tensor) -> Tensor:
        """Change the generator's features by what is known."""
        x = self.norm(torch.cat([encoded, decoded], 1))
        if self.attention is not None:
            x = torch.cat([x, self.attention(x, known)], 1)
        scale, shift = self.person(person * 4)[:, :, None, None].chunk(2, 1)
        x = F.silu(self.joint(x) * (1 + scale) + shift)
        return decoded + torch.sigmoid(self.gate(x)) * self.out(x)


class Knower(nn.Module):
    """The small networks of all sides, around a frozen CodeFormer."""

    def __init__(self, network: CodeFormer, attention: bool) -> None:
        super().__init__()
        channels = network.config.vqgan.channels_by_size
        self.at = nn.ModuleDict({str(s): Knowing(channels[s], attention) for s in SIDES})

    def forward(
        self, network: CodeFormer, crops: Tensor, photos: Tensor, person: Tensor, weight: Tensor
    ) -> Tensor:
        """Restore (B, 3, S, S) crops of whom (B, K, 3, S, S) photos and (B, 128) describe."""
        wanted = tuple(sorted({*SIDES, *network.config.fusion_sizes}))
        with torch.no_grad():
            latents, encoded = network.encoder.with_features(crops, wanted)
            codes = network.predict_logits(latents).argmax(2)
            quantized = network.quantize.lookup(codes, latents.shape[-1]).to(latents.dtype)
            quantized = adaptive_instance_norm(quantized, latents)
            _, known = network.encoder.with_features(photos.flatten(0, 1), SIDES)

        def at(side: int, decoded: Tensor) -> Tensor:
            if side in network.config.fusion_sizes:
                fusion = network.fuse_convs_dict[str(side)]
                decoded = fusion(encoded[side], decoded, fidelity=weight)
            if side not in SIDES:
                return decoded
            seen = known[side].unflatten(0, (len(crops), -1))
            return self.at[str(side)](decoded, encoded[side], seen, person)

        return network.generator(quantized, {side: partial(at, side) for side in wanted})


class Album:
    """Faces at the model's size, by person.

    Args:
        folder: with index.csv.
        size: of the model.
        apart: take the people who are kept apart, instead of everybody else.
    """

    def __init__(self, folder: Path, size: int, apart: bool) -> None:
        self.faces: list[Tensor] = []
        """(S, S, 3) uint8."""
        by_person: dict[str, list[int]] = defaultdict(list)
        with (folder / "index.csv").open(encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                kept = bool(row["person"]) and int(row["person"]) % KEPT_APART == 0
                if kept != apart or not (apart or row["split"] == "train"):
                    continue
                pixels = read_picture(folder / row["split"] / row["file"]).pixels[None, ..., :3]
                by_person[row["person"]].append(len(self.faces))
                self.faces.append((resize(pixels, size, size)[0].clamp(0, 1) * 255).byte())
        by_person.pop("", None)
        self.people = [places for places in by_person.values() if len(places) > 1]

    def take(self, places: list[int]) -> Tensor:
        """(N, S, S, 3) uint8."""
        return torch.stack([self.faces[place] for place in places])


def main() -> None:
    """Learn for the minutes that are given, then measure."""
    options = parser(__doc__)
    options.add_argument("--faces", type=Path, required=True, help="folder with index.csv")
    options.add_argument("--weights", type=Path, required=True, help="what was learnt; goes on")
    options.add_argument("--minutes", type=float, default=42.0, help="of learning; 0: measure only")
    options.add_argument("--attention", action="store_true", help="look at the photos' features")
    options.add_argument("--people", type=int, default=20, help="to measure (default: 20)")
    options.add_argument("--looks", type=int, default=3, help="degradations of each photo")
    arguments = options.parse_args()
    network = load_network(find_restorer("builtin"), operations=OPERATIONS, device="cpu")
    network.float().requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (stubs)
    torch.manual_seed(0)
    knower = Knower(network, arguments.attention)
    knower.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] (stubs)
    if arguments.weights.exists():
        knower.load_state_dict(torch.load(arguments.weights, weights_only=True))
    if arguments.minutes:
        album = Album(arguments.faces, network.size, apart=False)
        learn(knower, network, album, 60 * arguments.minutes)
        torch.save(knower.state_dict(), arguments.weights)
    album = Album(arguments.faces, network.size, apart=True)
    rows = measured(knower, network, album, arguments)
    report(f"References, {min(arguments.people, len(album.people))} people", rows, arguments.out)


def learn(knower: Knower, network: CodeFormer, album: Album, seconds: float) -> None:
    """Train, the rate falling to nothing within the time."""
    losses = ImageLosses(RunConfig(stage=3, data="", losses=LOSSES)).requires_grad_(False)
    optimizer = torch.optim.AdamW(knower.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
    identity, mixture = IdentityNetwork(), Mixture(STAGE_TWO, mild_share=0.25).scaled(network.size)
    began, step = time.monotonic(), 0
    while (share := (time.monotonic() - began) / seconds) < 1:
        rate = LEARNING_RATE * min(1, (step + 1) / 30) * (0.51 + 0.49 * math.cos(math.pi * share))
        optimizer.param_groups[0]["lr"] = rate
        targets, photos = drawn(album, random.Random(step))
        chances = BatchRandom((0, step), BATCH, range(BATCH), torch.device("cpu"))
        clean = LOOKS.apply(album.take(targets), chances.uniform(LOOK))
        degraded = degrade_batch(clean, mixture.draw(chances), mixture.limits, chances)
        full, other = chances.uniform(2).unbind(1)
        weight = torch.where(full < 0.5, FIDELITY, other).view(-1, 1, 1, 1)
        known = album.take([place for own in photos for place in own]) / 255
        with torch.no_grad():
            person = identity.embed(known).unflatten(0, (BATCH, -1)).mean(1)
        with torch.autocast("cpu", torch.bfloat16):
            shown = to_network(known).unflatten(0, (BATCH, -1))
            pictures = knower(network, degraded * 2 - 1, shown, person, weight)
        loss, told = losses(pictures.float(), clean * 2 - 1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(knower.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            print(step, {name: f"{each.detach():.3f}" for name, each in told.items()}, flush=True)


def drawn(album: Album, chance: random.Random) -> tuple[list[int], list[list[int]]]:
    """Faces to restore, and for each as many photos; two of three are people with several."""
    count = chance.randint(1, MOST_PHOTOS)
    targets, photos = [], []
    for place in range(BATCH):
        own = chance.choice(album.people) if place % 3 else [chance.randrange(len(album.faces))]
        target = chance.choice(own)
        rest = [each for each in own if each != target] or own
        if chance.random() < STRANGERS:
            rest = [chance.randrange(len(album.faces))]
        targets.append(target)
        photos.append([chance.choice(rest) for _ in range(count)])
    return targets, photos


@torch.no_grad()
def measured(
    knower: Knower, network: CodeFormer, album: Album, arguments: argparse.Namespace
) -> list[Row]:
    """Means over people: without, with their photos, and with the next person's."""
    identity, perceptual = IdentityNetwork(), PerceptualDistance(EVALUATION_BACKBONE)
    recognisers, looks = all_recognisers(identity), 1 if arguments.quick else arguments.looks
    found: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    names = ["perceptual", "PSNR, dB", *(f"{name}, to the clean photo" for name in recognisers)]
    for number, places in enumerate(album.people[: arguments.people]):
        clean = (album.take(places[:1]) / 255).expand(looks, -1, -1, -1)
        others = album.people[(number + 1) % len(album.people)]
        for strength, ranges in STRENGTHS.items():
            degraded = degrade_faces(clean, ranges, 11, number)

            def restored(photos: list[int], degraded: Tensor = degraded) -> Tensor:
                shown = album.take(photos[:MOST_PHOTOS]) / 255
                person = identity.embed(shown).mean(0, keepdim=True).expand(looks, -1)
                crops, weight = to_network(degraded), torch.full((looks, 1, 1, 1), FIDELITY)
                many = to_network(shown)[None].expand(looks, -1, -1, -1, -1)
                return from_network(knower(network, crops, many, person, weight))

            ways = {
                "degraded input": degraded,
                "without": from_network(network(to_network(degraded), FIDELITY)),
                "references": restored(places[1:]),
                "another person's": restored(others[1:]),
            }
            for way, pictures in ways.items():
                apart = [(of(pictures) - of(clean)).norm(dim=1) for of in recognisers.values()]
                all_of = [perceptual.distance(clean, pictures), psnr(pictures, clean), *apart]
                found[strength, way].append([float(each.mean()) for each in all_of])
    return [
        {"damage": strength, "way": way}
        | dict(zip(names, torch.tensor(each).mean(0).tolist(), strict=True))
        for (strength, way), each in found.items()
    ]


if __name__ == "__main__":
    main()
