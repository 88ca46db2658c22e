"""Train the network that enlarges backgrounds, or SRCNN beside it.

    python benchmarks/train_enlarger.py PHOTOS enlarger.safetensors --minutes 60
    python benchmarks/train_enlarger.py PHOTOS srcnn.safetensors --minutes 60 --layout srcnn

PHOTOS is a folder of sharp pictures. Run again, it goes on where it was. Patches are halved,
degraded as photos of phones and scans are, and enlarged back; the loss is L1, in the second half
with the perceptual distance. `benchmarks/enlarging.py` judges what comes out.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codeformer_core.checkpoints import write_state
from codeformer_core.checkpoints.reader import read_weights
from codeformer_core.degradation import BatchRandom, DegradationMix, DegradationRange, degrade_batch
from codeformer_core.images import read_picture, readable_suffixes, to_uint8
from codeformer_core.metrics import PerceptualDistance
from codeformer_core.networks.enlarger import SCALE, Enlarger, EnlargerConfig

BATCH = 16
PATCH = 48
"""Side of what is enlarged."""
LEARNING_RATE = 8e-4
SAVE_SECONDS = 120.0
PERCEPTUAL_WEIGHT = 0.06
GRAY_SHARE = 0.15
UNDAMAGED = DegradationRange(
    blur=(0, 0), downsample=(1, 1), gaussian_noise=(0, 0), jpeg_quality=(0, 0)
)
CLEAN = DegradationRange(
    blur=(0, 0.5), downsample=(1, 1), gaussian_noise=(0, 1), jpeg_quality=(90, 100)
)
PHONES_AND_SCANS = DegradationRange(
    blur=(0, 1.0),
    downsample=(1, 1.5),
    gaussian_noise=(0, 6),
    sensor_noise=(0, 6),
    jpeg_quality=(50, 95),
)
MIX = DegradationMix([UNDAMAGED, CLEAN, PHONES_AND_SCANS], [0.3, 0.3, 0.4])
LUMA = (0.299, 0.587, 0.114)


class SRCNN(nn.Module):
    """Dong et al. 2014, "Learning a Deep Convolutional Network for Image Super-Resolution", 9-1-5.

    (B, 3, H, W) in 0..1, to what it changes of the bicubic (B, 3, 2H, 2W).
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 9, padding=4)
        self.mapping = nn.Conv2d(64, 32, 1)
        self.picture = nn.Conv2d(32, 3, 5, padding=2)

    def forward(self, pictures: Tensor) -> Tensor:
        larger = bicubic(pictures)
        return self.picture(F.relu(self.mapping(F.relu(self.patches(larger))))) - larger


LAYOUTS = {"enlarger": lambda: Enlarger(EnlargerConfig()), "srcnn": SRCNN}


def bicubic(planes: Tensor) -> Tensor:
    """Enlarge (B, 3, H, W) by the factor of the networks."""
    return F.interpolate(planes, scale_factor=SCALE, mode="bicubic", antialias=True)


def main(arguments: argparse.Namespace) -> None:
    """Train until the minutes are over."""
    network, spent = LAYOUTS[arguments.layout](), 0.0
    if arguments.out.exists():
        file = read_weights(arguments.out)
        network.load_state_dict({name: value.float() for name, value in file.state.items()})
        spent = float(file.metadata["seconds"])
    average, perceptual = copy.deepcopy(network), PerceptualDistance().requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    pairs, total = _pairs(_photos(arguments.photos), seed=round(spent)), 60 * arguments.minutes
    began = saved = time.monotonic()
    losses: list[float] = []
    while (done := (spent + time.monotonic() - began) / total) < 1:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (
            0.02 + 0.49 * (1 + math.cos(math.pi * done))
        )
        losses.append(_step(network, optimizer, next(pairs), perceptual if done > 0.5 else None))
        for mean, weight in zip(average.parameters(), network.parameters(), strict=True):
            mean.data.lerp_(weight.data, 1 / min(1000, len(losses)))
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            _save(average, arguments.out, spent + saved - began)
            print(f"{done:.2f} {len(losses)} steps, L1 {np.mean(losses[-300:]):.5f}", flush=True)
    _save(average, arguments.out, total)


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    pair: tuple[Tensor, Tensor],
    perceptual: nn.Module | None,
) -> float:
    small, clean = pair
    with torch.autocast("cpu", torch.bfloat16):
        drawn = network(small)
    drawn = bicubic(small) + drawn.float()
    loss = distance = F.l1_loss(drawn, clean)
    if perceptual is not None:
        half = slice(len(clean) // 2)
        with torch.autocast("cpu", torch.bfloat16):
            seen = perceptual(2 * drawn[half] - 1, 2 * clean[half] - 1).mean()
        loss = loss + PERCEPTUAL_WEIGHT * seen
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return distance.item()


def _pairs(photos: list[np.ndarray], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Degraded small patches (B, 3, S, S) and the sharp ones of twice their side, in 0..1."""
    random, device = np.random.default_rng(seed), torch.device("cpu")
    areas = np.array([photo.size for photo in photos], float)
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    for step in range(10**9):
        chosen = random.choice(len(photos), BATCH, p=areas / areas.sum())
        patches = np.stack([_patch(photos[index], random) for index in chosen])
        clean = torch.from_numpy(patches).movedim(-1, 1).float() / 255
        gray = torch.from_numpy(random.random(BATCH) < GRAY_SHARE).view(-1, 1, 1, 1)
        clean = torch.where(gray, (clean * luma).sum(1, keepdim=True), clean)
        halves = [F.avg_pool2d(clean[::2], SCALE), _halved(clean[1::2])]
        small = torch.stack(halves, 1).flatten(0, 1)
        drawing = BatchRandom((seed, step), BATCH, range(BATCH), device)
        yield degrade_batch(small, MIX.draw(drawing), MIX.limits, drawing), clean


def _halved(planes: Tensor) -> Tensor:
    size = planes.shape[-1] // SCALE
    return F.interpolate(planes, (size, size), mode="bicubic", antialias=True).clamp(0, 1)


def _patch(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The livelier of two places, turned and mirrored as it comes."""
    side = PATCH * SCALE
    places = [[random.integers(0, length - side + 1) for length in photo.shape[:2]] for _ in "ab"]
    patches = [photo[top : top + side, left : left + side] for top, left in places]
    patch = np.rot90(max(patches, key=np.std), random.integers(4))
    return patch[:, ::-1] if random.random() < 0.5 else patch


def _photos(folder: Path) -> list[np.ndarray]:
    """The pictures of a folder, (H, W, 3) uint8."""
    files = [file for file in folder.rglob("*") if file.suffix.lower() in readable_suffixes()]
    photos = [to_uint8(read_picture(file).pixels) for file in sorted(files)]
    return [photo for photo in photos if min(photo.shape[:2]) >= PATCH * SCALE]


def _save(network: nn.Module, path: Path, seconds: float) -> None:
    write_state(path, network.state_dict(), {"seconds": str(seconds)})


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("photos", type=Path, help="a folder of sharp pictures")
    options.add_argument("out", type=Path, help="the weights, read back where they are")
    options.add_argument("--minutes", type=float, default=60, help="in all")
    options.add_argument("--layout", choices=LAYOUTS, default="enlarger")
    main(options.parse_args())
