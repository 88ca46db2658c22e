"""The built-in upscaler beside bicubic, Lanczos and SRCNN, on photos it never saw.

    python benchmarks/enlarging.py --photos FOLDER --srcnn srcnn.safetensors

FOLDER holds sharp pictures; without it the astronaut. They are halved, damaged with fixed seeds and
enlarged back. `--srcnn` is what `train_enlarger.py --layout srcnn` made. The last rows are the time
of 1 megapixel to 4. `--sheet docs/enlarging.jpg` shows parts of the first photo.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from side_by_side import Row, compare, parser, report
from torch import Tensor
from torch.nn import functional as F
from train_enlarger import SRCNN, bicubic

from codeformer_core.checkpoints.reader import read_weights
from codeformer_core.degradation import Degradation, degrade
from codeformer_core.images import (
    Picture,
    read_picture,
    readable_suffixes,
    to_network,
    write_picture,
)
from codeformer_core.images.sheet import Panel, draw_sheet
from codeformer_core.metrics import EVALUATION_BACKBONE, PerceptualDistance, psnr, ssim
from codeformer_core.models import load_upscaler
from codeformer_core.networks.enlarger import SCALE
from codeformer_core.pipeline.upscaling import enlarge

DAMAGES = {
    "none": None,
    "light": Degradation(blur_x=0.5, gaussian_noise=2, jpeg_quality=85),
    "worn": Degradation(
        blur_x=0.8, downsample=1.2, gaussian_noise=5, sensor_noise=4, jpeg_quality=70
    ),
}
PARTS, PART = ((40, 170), (390, 60)), 96
"""Top and left of what a sheet shows, and its side."""
SHOWN = 3 * PART
Way = Callable[[Tensor], Tensor]
"""Doubles (1, H, W, 3) in 0..1."""


def main() -> None:
    """Measure and report."""
    options = parser(__doc__)
    options.add_argument("--photos", type=Path, help="folder of sharp pictures")
    options.add_argument("--srcnn", type=Path, help="its weights")
    options.add_argument("--sheet", type=Path, help="picture of parts of the first photo")
    arguments = options.parse_args()
    photos, ways = _photos(arguments.photos, arguments.quick), _ways(arguments.srcnn)
    rows = [_judged(name, way, damage, photos) for damage in DAMAGES for name, way in ways.items()]
    side = 64 if arguments.quick else 1000
    picture = torch.rand(1, side, side, 3)
    seconds = compare(
        {name: partial(way, picture) for name, way in ways.items()}, arguments.repeats
    )
    rows += [{"way": name, "seconds for 1 MP": seconds[name]} for name in ways]
    report(f"Enlarging {len(photos)} photos twice", rows, arguments.out)
    if arguments.sheet is not None:
        write_picture(arguments.sheet, Picture(_sheet(photos[0], ways)))


def _sheet(photo: Tensor, ways: dict[str, Way]) -> Tensor:
    """Parts of a lightly damaged photo as each way enlarges it, and as they were."""
    small = _small(photo, "light")
    with torch.no_grad():
        made = {"before": photo} | {name: way(small).clamp(0, 1) for name, way in ways.items()}
    return draw_sheet(
        [
            [
                Panel(each[0, top : top + PART, left : left + PART], (name,))
                for name, each in made.items()
            ]
            for top, left in PARTS
        ],
        SHOWN,
    )


def _judged(name: str, way: Way, damage: str, photos: list[Tensor]) -> Row:
    distance = PerceptualDistance(EVALUATION_BACKBONE)
    measured: list[tuple[float, ...]] = []
    with torch.no_grad():
        for photo in photos:
            made = way(_small(photo, damage)).clamp(0, 1)
            perceptual = distance(to_network(made), to_network(photo))
            measured.append((float(psnr(made, photo)), float(ssim(made, photo)), float(perceptual)))
    columns = ("PSNR, dB", "SSIM", "perceptual")
    means = np.mean(measured, 0).tolist()
    return {"damage": damage, "way": name, **dict(zip(columns, means, strict=True))}


def _small(photo: Tensor, damage: str) -> Tensor:
    """(1, H, W, 3) at half its size, damaged."""
    small = F.avg_pool2d(photo.movedim(-1, 1), SCALE).movedim(1, -1)
    degradation = DAMAGES[damage]
    return small if degradation is None else degrade(small[0], degradation, seed=0)[None]


def _ways(srcnn: Path | None) -> dict[str, Way]:
    own = load_upscaler()
    ways = {"built-in": lambda small: enlarge(small, SCALE, own), "bicubic": _bicubic}
    ways["Lanczos"] = _lanczos
    if srcnn is not None:
        network = SRCNN()
        network.load_state_dict(dict(read_weights(srcnn).state))
        ways["SRCNN"] = partial(_srcnn, network.requires_grad_(False))
    return ways


def _bicubic(small: Tensor) -> Tensor:
    return enlarge(small, SCALE)


def _lanczos(small: Tensor) -> Tensor:
    height, width = small.shape[1:3]
    size = width * SCALE, height * SCALE
    channels = (Image.fromarray(small[0, :, :, each].numpy()) for each in range(3))
    larger = [np.asarray(each.resize(size, Image.Resampling.LANCZOS)) for each in channels]
    return torch.from_numpy(np.stack(larger, -1))[None]


def _srcnn(network: SRCNN, small: Tensor) -> Tensor:
    planes = small.movedim(-1, 1)
    return (bicubic(planes) + network(planes)).movedim(1, -1)


def _photos(folder: Path | None, quick: bool) -> list[Tensor]:
    """(1, H, W, 3), sides multiples of twice the scale."""
    if folder is None:
        from skimage.data import astronaut

        pictures = [torch.from_numpy(astronaut()).float() / 255]
    else:
        files = [file for file in folder.rglob("*") if file.suffix.lower() in readable_suffixes()]
        pictures = [read_picture(file).pixels for file in sorted(files)]
    return [_whole(picture, 64 if quick else 10**6)[None] for picture in pictures]


def _whole(picture: Tensor, most: int) -> Tensor:
    """The top left of a picture, with sides that can be halved to even ones."""
    unit = 2 * SCALE
    rows, columns = (min(length // unit * unit, most) for length in picture.shape[:2])
    return picture[:rows, :columns]


if __name__ == "__main__":
    main()
