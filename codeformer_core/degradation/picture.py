"""The degradation model for one picture on the CPU, with OpenCV."""

from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from ..packages import needed_for
from .brush import stroke_mask
from .colour import change_colours, colours_of
from .kernels import kernels_of
from .parameters import Degradation


def degrade(image: Tensor, degradation: Degradation, seed: int = 0) -> Tensor:
    """Degrade a picture or a batch of pictures.

    Args:
        image: (H, W, 3) or (B, H, W, 3) RGB in 0..1.
        degradation: what to do.
        seed: of the noise; frame i of a batch draws from (seed, i).

    Returns:
        The same shape and device, float32 in 0..1.

    Raises:
        MissingModelError: OpenCV is not installed.
    """
    _require_opencv()
    if image.ndim == 4:
        frames = [_degrade(frame, degradation, seed, i) for i, frame in enumerate(image)]
        return torch.stack(frames) if frames else image.float()
    return _degrade(image, degradation, seed, 0)


def _require_opencv() -> None:
    with needed_for("degrading", "opencv-python"):
        import_module("cv2")


def _degrade(image: Tensor, degradation: Degradation, seed: int, frame: int) -> Tensor:
    random = np.random.default_rng((seed, frame))
    pixels = np.ascontiguousarray(image.detach().float().cpu().numpy())
    return torch.from_numpy(_degrade_pixels(pixels, degradation, random)).to(image.device)


def _degrade_pixels(
    pixels: np.ndarray, degradation: Degradation, random: np.random.Generator
) -> np.ndarray:
    """`degrade` for one (H, W, 3) float32 array."""
    import cv2

    height, width = pixels.shape[:2]
    rows, columns = shrunk_size(height, width, degradation)
    pixels = blur(pixels, degradation)
    if (rows, columns) != (height, width):
        pixels = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    pixels = add_noise(pixels, degradation.gaussian_noise, degradation.sensor_noise, random)
    if degradation.jpeg_quality is not None:
        pixels = compress(pixels, degradation.jpeg_quality)
    if (rows, columns) != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    pixels = np.clip(pixels, 0.0, 1.0, dtype=np.float32)
    if degradation.changes_colour:
        pixels = change_colours(torch.from_numpy(pixels)[None], colours_of([degradation]))[
            0
        ].numpy()
    if degradation.strokes:
        pixels = np.maximum(pixels, stroke_mask(height, width, degradation, random)[..., None])
    return pixels


def shrunk_size(height: int, width: int, degradation: Degradation) -> tuple[int, int]:
    """(rows, columns) of the picture after the down-sampling, at least one each."""
    factor = degradation.downsample
    return max(1, round(height / factor)), max(1, round(width / factor))


def blur(pixels: np.ndarray, degradation: Degradation) -> np.ndarray:
    """Convolve (H, W, 3) with the degradation's Gaussian and motion kernels."""
    import cv2

    for kernel in kernels_of(degradation):
        pixels = cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return pixels


def add_noise(
    pixels: np.ndarray, gaussian: float, sensor: float, random: np.random.Generator
) -> np.ndarray:
    """Add Poisson (sensor) and Gaussian noise, both as deviations in 1/255, to (H, W, 3)."""
    if sensor > 0:
        # A pixel that collects n photons deviates by sqrt(n): white collects (255 / sensor)^2.
        photons = (255.0 / sensor) ** 2
        pixels = random.poisson(np.clip(pixels, 0, 1) * photons).astype(np.float32) / photons
    if gaussian > 0:
        noise = random.standard_normal(pixels.shape, dtype=np.float32)
        pixels = pixels + noise * np.float32(gaussian / 255)
    return np.clip(pixels, 0.0, 1.0, dtype=np.float32)


def compress(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Through JPEG and back: (H, W, 3) float32 RGB in 0..1 to the same."""
    import cv2

    bgr = np.round(pixels[..., ::-1] * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded[..., ::-1].astype(np.float32) / 255
