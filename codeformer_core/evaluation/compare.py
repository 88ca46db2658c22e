"""How close two pictures are, in every measure that is at hand, as numbers and as text."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import CodeFormerError, PictureError
from ..faces import Faces, crop_faces
from ..images import resize
from ..metrics import Distance, distances, psnr, ssim
from ..metrics.ssim import WINDOW
from ..runtime import Runtime

PERCEPTUAL_SIDE = 32
"""Pixels below which a network of stride 16 sees nothing."""
IDENTITY_SIDE = 512
"""Crops for the identity network, which reads the middle of them at 150 px."""
LARGEST_PERCEPTUAL = 1024
"""Longer side in pixels at which larger pictures are shown to the perceptual network."""
STRIP = 512
"""Rows that are measured at once, so that a large picture does not take gigabytes."""


MakeDistance = Callable[[], Distance]
"""Loads a network when it is needed; raises a CodeFormerError if it cannot be had."""


@dataclass(frozen=True)
class Measure:
    """One measure of all pairs."""

    name: str
    values: tuple[float, ...] = ()
    problem: str = ""
    """Why there are no values."""

    @property
    def mean(self) -> float:
        """Mean over the pairs; NaN without values."""
        return sum(self.values) / len(self.values) if self.values else math.nan


@dataclass(frozen=True)
class Comparison:
    """All measures of two batches."""

    psnr: Measure
    ssim: Measure
    identity: Measure
    perceptual: Measure

    @property
    def text(self) -> str:
        """A table for people."""
        measures = (self.psnr, self.ssim, self.identity, self.perceptual)
        return "\n".join(_line(measure) for measure in measures)


def compare(
    first: Tensor,
    second: Tensor,
    faces: Faces | None = None,
    *,
    identity: MakeDistance,
    perceptual: MakeDistance,
    runtime: Runtime | None = None,
) -> Comparison:
    """Compare two batches of pictures, pair by pair, clipped to 0..1.

    Args:
        first: (B, H, W, 3) RGB.
        second: as many, or one to compare all with; resized to the size of the first.
        faces: the faces of the first, in whole pictures; identity is then measured on them, face
            by face. Without them, square pictures count as aligned faces.
        identity: makes the network that tells people apart.
        perceptual: makes the perceptual distance.
        runtime: where networks run and progress goes.

    Raises:
        PictureError: numbers of pictures that do not match, or pixels that are not numbers.
    """
    first, second = _as_pairs(first, second)
    count, side = len(first), min(first.shape[1:3])
    pairs = _face_pairs(first, second, faces)
    of_psnr, of_ssim, of_identity, of_perceptual = _shares(runtime or Runtime())
    return Comparison(
        psnr=_measure("PSNR (dB, higher is closer)", lambda: _psnr(first, second, of_psnr), count),
        ssim=_too_small("SSIM", WINDOW)
        if side < WINDOW
        else _measure("SSIM (1 is equal)", lambda: _ssim(first, second, of_ssim), count),
        identity=Measure(IDENTITY, problem="connect the faces, or compare aligned crops")
        if pairs is None
        else _measure(
            IDENTITY, lambda: distances(identity(), *pairs, runtime=of_identity), len(pairs[0])
        ),
        perceptual=_too_small("perceptual", PERCEPTUAL_SIDE)
        if side < PERCEPTUAL_SIDE
        else _measure(
            PERCEPTUAL, lambda: _perceptual(perceptual(), first, second, of_perceptual), count
        ),
    )


IDENTITY = "identity (distance; below 0.4 the same person, above 0.6 another)"
PERCEPTUAL = "perceptual (distance, lower is closer)"


def _shares(runtime: Runtime) -> list[Runtime]:
    """Of the progress, for each measure."""
    return [runtime.share(quarter / 4, (quarter + 1) / 4) for quarter in range(4)]


def _psnr(first: Tensor, second: Tensor, runtime: Runtime) -> Tensor:
    """PSNR of each pair, strip by strip: the error of the whole is the mean of the strips'."""

    def error(top: int, bottom: int) -> Tensor:
        rows = (each[:, top:bottom] for each in (first, second))
        return 10 ** (-psnr(*rows) / 10)

    return -10 * torch.log10(_over_strips(error, first.shape[1], 1, runtime))


def _ssim(first: Tensor, second: Tensor, runtime: Runtime) -> Tensor:
    """SSIM of each pair, strip by strip; strips overlap, so that no window is left out."""

    def similarity(top: int, bottom: int) -> Tensor:
        return ssim(*(each[:, top:bottom] for each in (first, second)))

    return _over_strips(similarity, first.shape[1], WINDOW, runtime)


def _over_strips(
    measure: Callable[[int, int], Tensor], height: int, window: int, runtime: Runtime
) -> Tensor:
    """Mean over all rows of windows of a measure that is taken from strips of rows."""
    windows = height - window + 1
    total = torch.zeros(())
    for start in range(0, windows, STRIP):
        count = min(STRIP, windows - start)
        total = total + count / windows * measure(start, start + count + window - 1)
        runtime.report(start + count, windows)
    return total


def _perceptual(network: Distance, first: Tensor, second: Tensor, runtime: Runtime) -> Tensor:
    height, width = first.shape[1:3]
    shrink = min(1.0, LARGEST_PERCEPTUAL / max(height, width))
    rows, columns = (max(PERCEPTUAL_SIDE, round(side * shrink)) for side in (height, width))
    return distances(network, first, second, size=(rows, columns), runtime=runtime)


def _as_pairs(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if len(second) not in (1, len(first)):
        raise PictureError(
            f"{len(first)} pictures cannot be compared with {len(second)}: connect as many, or one"
        )
    for name, images in (("first", first), ("second", second)):
        if not bool(images.isfinite().all()):
            raise PictureError(f"the {name} picture holds values that are not numbers")
    first = first.float().clamp(0, 1)
    second = resize(second.to(first).clamp(0, 1), *first.shape[1:3])
    return first, second.expand_as(first)


def _face_pairs(first: Tensor, second: Tensor, faces: Faces | None) -> tuple[Tensor, Tensor] | None:
    if faces is not None:
        return crop_faces(first, faces, IDENTITY_SIDE), crop_faces(second, faces, IDENTITY_SIDE)
    return (first, second) if first.shape[1] == first.shape[2] else None


def _measure(name: str, values: Callable[[], Tensor], count: int) -> Measure:
    if not count:
        return Measure(name, problem="nothing to compare")
    try:
        with torch.no_grad():
            return Measure(name, tuple(float(value) for value in values()))
    except CodeFormerError as error:
        return Measure(name, problem=str(error))


def _too_small(name: str, side: int) -> Measure:
    return Measure(name, problem=f"the pictures are smaller than {side} pixels")


def _line(measure: Measure) -> str:
    if not measure.values:
        return f"{measure.name}: not available, {measure.problem}"
    each = ", ".join(f"{value:.4g}" for value in measure.values)
    return f"{measure.name}: {measure.mean:.4g}" + (f" ({each})" if len(measure.values) > 1 else "")
