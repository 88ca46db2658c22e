"""The degradation model: how a clean face becomes a bad photo.

I_l = {[(I_h conv k_sigma) down_r + n_delta] JPEG_q} up_r (paper, section 4.1): blur, shrink, add
noise, compress, enlarge back. A `DegradationRange` says what may happen, a `Degradation` what does.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .errors import SettingError

Interval = tuple[float, float]


@dataclass(frozen=True)
class Degradation:
    """One drawn degradation; the defaults change nothing. Lengths are in pixels of the picture."""

    blur_x: float = 0.0
    """Deviation of the Gaussian blur along its first axis; 0 leaves the blur out."""
    blur_y: float | None = None
    """Deviation along the second axis; None is isotropic, like `blur_x`."""
    blur_angle: float = 0.0
    """Direction of the first axis (and of motion) in degrees."""
    motion: float = 0.0
    """Length of a straight motion blur, applied beside the Gaussian one."""
    downsample: float = 1.0
    """Factor r by which the picture is shrunk and enlarged back."""
    gaussian_noise: float = 0.0
    """Deviation of the Gaussian noise, in 1/255 of the range."""
    sensor_noise: float = 0.0
    """Deviation of the Poisson noise of a white pixel, in 1/255 of the range."""
    jpeg_quality: int | None = None
    """Quality of the JPEG compression, 1..100; None leaves it out."""

    def __post_init__(self) -> None:
        """Refuse what no picture can undergo.

        Raises:
            SettingError: a negative deviation, a factor under 1 or a quality outside 1..100.
        """
        deviations = (self.blur_x, self.blur_y or 0.0, self.motion)
        if min(*deviations, self.gaussian_noise, self.sensor_noise) < 0 or self.downsample < 1:
            raise SettingError(f"degradation out of range: {self}")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise SettingError(f"JPEG quality must be 1 to 100, got {self.jpeg_quality}")


@dataclass(frozen=True)
class DegradationRange:
    """What may be drawn; the defaults are stage II's published ranges for 512 px faces."""

    blur: Interval = (1.0, 15.0)
    """Deviation of the Gaussian blur in pixels."""
    anisotropic: float = 0.5
    """Probability that the two axes of the blur are drawn apart."""
    motion: Interval = (0.0, 0.0)
    """Length of the motion blur in pixels."""
    downsample: Interval = (4.0, 30.0)
    """Factor r."""
    gaussian_noise: Interval = (0.0, 20.0)
    """Deviation in 1/255."""
    sensor_noise: Interval = (0.0, 0.0)
    """Deviation at white in 1/255."""
    jpeg_quality: Interval = (30.0, 80.0)
    """Quality of the JPEG compression."""

    def scaled(self, factor: float) -> "DegradationRange":
        """The same look on faces of another size: lengths times `factor`, r at least 1."""
        return replace(
            self,
            blur=(self.blur[0] * factor, self.blur[1] * factor),
            motion=(self.motion[0] * factor, self.motion[1] * factor),
            downsample=(
                max(1.0, self.downsample[0] * factor),
                max(1.0, self.downsample[1] * factor),
            ),
        )

    def draw(self, random: np.random.Generator) -> Degradation:
        """Draw one degradation, every parameter uniformly from its interval."""
        blur_x = random.uniform(*self.blur)
        blur_y = random.uniform(*self.blur) if random.random() < self.anisotropic else None
        return Degradation(
            blur_x=blur_x,
            blur_y=blur_y,
            blur_angle=random.uniform(0.0, 180.0),
            motion=random.uniform(*self.motion),
            downsample=random.uniform(*self.downsample),
            gaussian_noise=random.uniform(*self.gaussian_noise),
            sensor_noise=random.uniform(*self.sensor_noise),
            jpeg_quality=round(random.uniform(*self.jpeg_quality)),
        )


STAGE_TWO = DegradationRange()
"""Strong degradation, which stage II learns to see through (512 px)."""
STAGE_THREE_MILD = DegradationRange(
    blur=(0.1, 10.0), downsample=(1.0, 12.0), gaussian_noise=(0.0, 15.0), jpeg_quality=(60.0, 100.0)
)
"""Mild degradation, which stage III mixes with stage II's (512 px)."""


def degrade(image: Tensor, degradation: Degradation, seed: int = 0) -> Tensor:
    """Degrade a picture or a batch of pictures.

    Args:
        image: (H, W, 3) or (B, H, W, 3) RGB in 0..1.
        degradation: what to do.
        seed: of the noise; frame i of a batch draws from (seed, i).

    Returns:
        The same shape and device, float32 in 0..1.
    """
    if image.ndim == 4:
        return torch.stack([_degrade(frame, degradation, seed, i) for i, frame in enumerate(image)])
    return _degrade(image, degradation, seed, 0)


def _degrade(image: Tensor, degradation: Degradation, seed: int, frame: int) -> Tensor:
    random = np.random.default_rng((seed, frame))
    pixels = np.ascontiguousarray(image.detach().float().cpu().numpy())
    return torch.from_numpy(degrade_pixels(pixels, degradation, random)).to(image.device)


def degrade_pixels(
    pixels: np.ndarray, degradation: Degradation, random: np.random.Generator
) -> np.ndarray:
    """`degrade` for one (H, W, 3) float32 array and a given random generator."""
    import cv2

    height, width = pixels.shape[:2]
    shrunk_size = (
        max(1, round(width / degradation.downsample)),
        max(1, round(height / degradation.downsample)),
    )
    pixels = blur(pixels, degradation)
    if shrunk_size != (width, height):
        pixels = cv2.resize(pixels, shrunk_size, interpolation=cv2.INTER_AREA)
    pixels = add_noise(pixels, degradation.gaussian_noise, degradation.sensor_noise, random)
    if degradation.jpeg_quality is not None:
        pixels = compress(pixels, degradation.jpeg_quality)
    if shrunk_size != (width, height):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pixels, 0.0, 1.0, dtype=np.float32)


def blur(pixels: np.ndarray, degradation: Degradation) -> np.ndarray:
    """Convolve (H, W, 3) with the degradation's Gaussian and motion kernels."""
    import cv2

    border = cv2.BORDER_REFLECT_101
    if degradation.blur_x > 0 or (degradation.blur_y or 0) > 0:
        pixels = cv2.filter2D(pixels, -1, gaussian_kernel(degradation), borderType=border)
    if degradation.motion > 1:
        kernel = motion_kernel(degradation.motion, degradation.blur_angle)
        pixels = cv2.filter2D(pixels, -1, kernel, borderType=border)
    return pixels


def gaussian_kernel(degradation: Degradation) -> np.ndarray:
    """The (iso- or anisotropic) Gaussian as a (k, k) kernel of sum 1, k odd, three deviations."""
    # Under a third of a pixel a sampled Gaussian is one point; the bound keeps it finite.
    deviation_x = max(degradation.blur_x, 1e-2)
    deviation_y = deviation_x if degradation.blur_y is None else max(degradation.blur_y, 1e-2)
    along, across = _rotated_grid(int(np.ceil(3 * max(deviation_x, deviation_y))), degradation)
    kernel = np.exp(-0.5 * ((along / deviation_x) ** 2 + (across / deviation_y) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _rotated_grid(radius: int, degradation: Degradation) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across the blur's first axis, each (2 * radius + 1, same)."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    angle = np.deg2rad(degradation.blur_angle)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """A straight line of `length` pixels at `angle` degrees as a (k, k) kernel of sum 1."""
    radius = int(np.ceil(length / 2))
    steps = np.linspace(-length / 2, length / 2, 8 * radius + 1)
    x = steps * np.cos(np.deg2rad(angle)) + radius
    y = steps * np.sin(np.deg2rad(angle)) + radius
    kernel = np.zeros((2 * radius + 2, 2 * radius + 2))
    # Each point of the line is shared among its four pixels, so that no angle looks jagged.
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            np.add.at(kernel, (top + dy, left + dx), share)
    kernel = kernel[:-1, :-1]
    return (kernel / kernel.sum()).astype(np.float32)


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
    return np.clip(pixels, 0.0, 1.0)


def compress(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Through JPEG and back: (H, W, 3) float32 RGB in 0..1 to the same."""
    import cv2

    bgr = np.round(pixels[..., ::-1] * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return decoded[..., ::-1].astype(np.float32) / 255
