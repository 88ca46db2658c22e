"""The degradation model for a whole batch on any device, with torch alone."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingError
from .brush import stroke_mask
from .colour import change_colour
from .jpeg import UNIT, compress_batch
from .kernels import kernels_of
from .parameters import Degradation
from .picture import shrunk_size
from .resizing import area_matrix, cubic_matrix, resize_with


def degrade_batch(
    images: Tensor, degradations: Sequence[Degradation], seeds: Sequence[int]
) -> Tensor:
    """Degrade a batch on its own device, one degradation a picture.

    Does what `degrade` does. The random numbers are the device's own, so noise agrees in its
    statistics only; the strokes are the same as long as there is no noise.

    Args:
        images: (B, H, W, 3) RGB in 0..1.
        degradations: B of them.
        seeds: of the noise and the strokes of each picture, whatever batch it is in.

    Returns:
        (B, H, W, 3) float32 in 0..1.

    Raises:
        SettingError: not as many degradations or seeds as pictures.
    """
    if not len(images) == len(degradations) == len(seeds):
        raise SettingError(
            f"{len(images)} pictures need as many degradations and seeds, "
            f"got {len(degradations)} and {len(seeds)}"
        )
    planes = blur_batch(images.movedim(-1, 1).float(), degradations)
    planes = _through_small_picture(planes, degradations, seeds).clamp(0, 1)
    colours = change_colour(planes.movedim(1, -1), degradations)
    return _paint_over(colours, degradations, seeds)


def blur_batch(planes: Tensor, degradations: Sequence[Degradation]) -> Tensor:
    """Convolve each picture with its own kernels, by Fourier transform.

    The time does not grow with the kernels, which are up to 91 pixels wide at 512.

    Args:
        planes: (B, C, H, W).
        degradations: B of them.
    """
    kernels = [kernels_of(each) for each in degradations]
    for number in range(max(map(len, kernels), default=0)):
        chosen = [index for index, each in enumerate(kernels) if len(each) > number]
        blurred = _convolve(planes[chosen], [kernels[index][number] for index in chosen])
        planes = planes.index_copy(0, torch.tensor(chosen, device=planes.device), blurred)
    return planes


def _convolve(planes: Tensor, kernels: Sequence[np.ndarray]) -> Tensor:
    radius = max(len(kernel) for kernel in kernels) // 2
    height, width = planes.shape[2:]
    padded = planes[:, :, _reflected(height, radius, planes.device)]
    padded = padded[:, :, :, _reflected(width, radius, planes.device)]
    size = padded.shape[2:]
    spread = torch.zeros(len(kernels), 1, *size)
    for index, kernel in enumerate(kernels):
        side = len(kernel)
        start = radius - side // 2
        spread[index, 0, start : start + side, start : start + side] = torch.from_numpy(kernel)
    # cv2.filter2D correlates: the conjugate spectrum does the same.
    spectrum = torch.fft.rfft2(padded) * torch.fft.rfft2(spread.to(planes.device)).conj()
    # The kernel's first element lies at the origin, so results start at the first full window.
    return torch.fft.irfft2(spectrum, s=tuple(size))[:, :, :height, :width]


def _reflected(length: int, radius: int, device: torch.device) -> Tensor:
    """Indices of a line continued on both sides by its mirror image, edges not repeated."""
    period = max(1, 2 * (length - 1))
    places = torch.arange(-radius, length + radius, device=device) % period
    return torch.minimum(places, period - places).clamp(max=length - 1)


def _through_small_picture(
    planes: Tensor, degradations: Sequence[Degradation], seeds: Sequence[int]
) -> Tensor:
    """Down, noise, JPEG, up: each picture at its own size in the corner of a common canvas."""
    height, width = planes.shape[2:]
    sizes = [shrunk_size(height, width, each) for each in degradations]
    canvas = [-(-max(sides) // UNIT) * UNIT for sides in zip(*sizes, strict=True)]

    def matrices(build: Callable[[int, int, int], Tensor], axis: int) -> Tensor:
        full = planes.shape[2 + axis]
        built = [build(full, size[axis], canvas[axis]) for size in sizes]
        return torch.stack(built).to(planes.device)

    small = resize_with(planes, matrices(area_matrix, 0), matrices(area_matrix, 1))
    noisy = [
        _repeat_edges(_noisy(picture[:, :rows, :columns], each, seed), *canvas)
        for picture, (rows, columns), each, seed in zip(
            small, sizes, degradations, seeds, strict=True
        )
    ]
    small = _compress(torch.stack(noisy), degradations)
    return resize_with(small, matrices(cubic_matrix, 0), matrices(cubic_matrix, 1))


def _noisy(picture: Tensor, degradation: Degradation, seed: int) -> Tensor:
    """Noise on one (C, h, w) picture; no wider than it, lest its canvas change the numbers."""
    generator = torch.Generator(picture.device).manual_seed(seed)
    if degradation.sensor_noise > 0:
        photons = (255.0 / degradation.sensor_noise) ** 2
        picture = torch.poisson(picture.clamp(0, 1) * photons, generator=generator) / photons
    if degradation.gaussian_noise > 0:
        noise = torch.randn(picture.shape, generator=generator, device=picture.device)
        picture = picture + noise * (degradation.gaussian_noise / 255)
    return picture.clamp(0, 1)


def _repeat_edges(picture: Tensor, rows: int, columns: int) -> Tensor:
    """Extend (C, h, w) to a canvas by its last row and column, as a JPEG encoder does."""
    down = torch.arange(rows, device=picture.device).clamp(max=picture.shape[1] - 1)
    across = torch.arange(columns, device=picture.device).clamp(max=picture.shape[2] - 1)
    return picture[:, down][:, :, across]


def _compress(planes: Tensor, degradations: Sequence[Degradation]) -> Tensor:
    wanted = [each.jpeg_quality is not None for each in degradations]
    if not any(wanted):
        return planes
    qualities = torch.tensor([each.jpeg_quality or 100 for each in degradations])
    compressed = compress_batch(planes, qualities.to(planes.device))
    chosen = torch.tensor(wanted, device=planes.device).view(-1, 1, 1, 1)
    return torch.where(chosen, compressed, planes)


def _paint_over(
    images: Tensor, degradations: Sequence[Degradation], seeds: Sequence[int]
) -> Tensor:
    """White where the brush has been; (B, H, W, 3)."""
    if not any(each.strokes for each in degradations):
        return images
    height, width = images.shape[1:3]
    masks = np.stack(
        [
            stroke_mask(height, width, each, np.random.default_rng((seed, 0)))
            for each, seed in zip(degradations, seeds, strict=True)
        ]
    )
    return torch.maximum(images, torch.from_numpy(masks).to(images.device).unsqueeze(-1))
