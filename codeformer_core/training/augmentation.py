"""Random changes that keep a face a face."""

from dataclasses import dataclass

import numpy as np

from ..errors import SettingError


@dataclass(frozen=True)
class Augmentation:
    """Random changes, the same for the clean and the degraded picture."""

    flip: float = 0.5
    """Probability of a mirror image."""
    warp: float = 0.5
    """Probability of a small turn, zoom and shift."""
    turn: float = 4.0
    """Largest turn in degrees."""
    zoom: float = 0.05
    """Largest zoom as a fraction."""
    shift: float = 0.02
    """Largest shift as a fraction of the side."""
    colour: float = 0.1
    """Largest change of each channel's gain and of the gamma."""
    variants: int = 0
    """Fixed variants of each face, so that stages II and III compute the codes of each clean
    variant once; 0 draws a new variant every time and computes its codes every time."""

    def __post_init__(self) -> None:
        """Refuse what would not keep a face a face.

        Raises:
            SettingError: a probability outside 0..1, or a negative amount.
        """
        if not (0 <= self.flip <= 1 and 0 <= self.warp <= 1):
            raise SettingError("augmentation: flip and warp are probabilities, 0 to 1")
        if min(self.turn, self.zoom, self.shift, self.colour, self.variants) < 0:
            raise SettingError("augmentation: no amount may be negative")
        if max(self.zoom, self.colour) >= 1:
            raise SettingError("augmentation: zoom and colour must be under 1")

    def apply(self, face: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(S, S, 3) uint8 to (S, S, 3) float32 in 0..1."""
        pixels = face.astype(np.float32) / 255
        if random.random() < self.flip:
            pixels = pixels[:, ::-1]
        if random.random() < self.warp:
            pixels = self._warp(np.ascontiguousarray(pixels), random)
        pixels = np.clip(pixels, 0, 1)
        if self.colour:
            gain = 1 + random.uniform(-self.colour, self.colour, 3)
            gamma = 1 + random.uniform(-self.colour, self.colour)
            pixels = pixels ** np.float32(gamma) * gain.astype(np.float32)
        return np.clip(pixels, 0, 1, dtype=np.float32)

    def _warp(self, pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
        import cv2

        size = pixels.shape[0]
        angle = random.uniform(-self.turn, self.turn)
        scale = 1 + random.uniform(-self.zoom, self.zoom)
        matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, scale)
        matrix[:, 2] += random.uniform(-self.shift, self.shift, 2) * size
        return cv2.warpAffine(
            pixels, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )


UNCHANGED = Augmentation(flip=0.0, warp=0.0, colour=0.0)
"""For validation."""
