"""Faces in memory and reproducible batches of them.

A batch is a pure function of (seed, step): a run that resumes at a step sees what it would have
seen without the break.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..degradation import STAGE_THREE_MILD, STAGE_TWO, DegradationRange, degrade_pixels
from ..errors import PictureError

PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
REFERENCE_SIZE = 512
"""Side of the faces for which the published degradation ranges are meant."""


def load_faces(folder: Path, size: int) -> np.ndarray:
    """Read aligned faces of a folder at one size.

    Args:
        folder: holds aligned square pictures; those smaller than `size` are left out, because
            enlarged faces would teach the model to blur.
        size: side in pixels.

    Returns:
        (N, size, size, 3) uint8 RGB, in order of file name.

    Raises:
        PictureError: no usable picture in the folder, or one that cannot be read.
    """
    import cv2

    faces = []
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    for path in paths:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if pixels is None:
            raise PictureError(f"{path}: not a readable picture; remove it or save it again")
        if min(pixels.shape[:2]) >= size:
            resized = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
            faces.append(resized[..., ::-1])
    if not faces:
        raise PictureError(f"{folder}: holds no aligned face of at least {size} px")
    return np.stack(faces)


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep a face a face; the same for the clean and the degraded picture."""

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

    def apply(self, face: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """(S, S, 3) uint8 to (S, S, 3) float32 in 0..1."""
        pixels = face.astype(np.float32) / 255
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        if random.random() < self.warp:
            pixels = self._warp(np.ascontiguousarray(pixels), random)
        gain = 1 + random.uniform(-self.colour, self.colour, 3)
        gamma = 1 + random.uniform(-self.colour, self.colour)
        pixels = np.clip(pixels, 0, 1) ** np.float32(gamma) * gain.astype(np.float32)
        return np.clip(pixels, 0, 1)

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


@dataclass(frozen=True)
class Batch:
    """Clean faces and, where the stage wants them, the degraded ones; (B, 3, S, S) in -1..1."""

    clean: Tensor
    degraded: Tensor | None = None


@dataclass(frozen=True)
class FaceBatches:
    """Batches by step.

    Args:
        faces: (N, S, S, 3) uint8 RGB.
        size: of a batch.
        seed: of everything random.
        strong, mild: degradation ranges for 512 px faces, scaled to S here.
        mild_share: probability of the mild one.
        degrade: False leaves the degraded pictures out (stage I).
    """

    faces: np.ndarray
    size: int
    seed: int = 0
    strong: DegradationRange = STAGE_TWO
    mild: DegradationRange = STAGE_THREE_MILD
    mild_share: float = 0.0
    degrade: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)

    def at(self, step: int) -> Batch:
        """The batch of a step."""
        random = np.random.default_rng((self.seed, step))
        picked = random.integers(len(self.faces), size=self.size)
        clean = [self.augmentation.apply(self.faces[index], random) for index in picked]
        degraded = [self._degraded(face, random) for face in clean] if self.degrade else None
        return Batch(_to_network(clean), None if degraded is None else _to_network(degraded))

    def _degraded(self, face: np.ndarray, random: np.random.Generator) -> np.ndarray:
        ranges = self.mild if random.random() < self.mild_share else self.strong
        drawn = ranges.scaled(face.shape[0] / REFERENCE_SIZE).draw(random)
        return degrade_pixels(face, drawn, random)


def _to_network(faces: list[np.ndarray]) -> Tensor:
    """A list of (S, S, 3) in 0..1 to (B, 3, S, S) in -1..1, channels last in memory."""
    return torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2) * 2 - 1
