"""The demonstration: degrade a real photo, restore it, compare."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..degradation import Degradation, degrade
from ..errors import PictureError
from ..faces import Face, FaceDetector, Faces, crop_faces
from ..images import as_images
from ..images.sheet import Panel, draw_sheet
from ..metrics import IdentityNetwork, psnr
from ..models.restorer import Restorer
from ..packages import needed_for
from ..pipeline.restore import RestoredImage, restore_image
from ..runtime import Runtime

DEMO_DEGRADATION = Degradation(
    blur_x=2.0, downsample=4.0, gaussian_noise=8.0, sensor_noise=4.0, jpeg_quality=50
)
"""As from an old phone: out of focus, small, noisy and compressed."""
DEMO_SEED = 7
CLOSE_UP = 256
"""Side of the aligned faces that are measured and shown, in pixels."""


@dataclass(frozen=True)
class Closeness:
    """How close a face is to the clean photo's."""

    psnr: float
    """Decibels over the face's region of the photo; higher is closer."""
    identity: float
    """Distance of the face descriptors, lower is closer."""

    def __str__(self) -> str:
        """Both numbers with their names."""
        return f"PSNR {self.psnr:.2f} dB, identity distance {self.identity:.3f}"


@dataclass(frozen=True)
class Demo:
    """What the demonstration made."""

    clean: Tensor
    """(H, W, 3) the photo."""
    degraded: Tensor
    """(H, W, 3) what was restored."""
    result: RestoredImage
    """Its restoration."""
    before: Closeness
    """Of the degraded face to the clean one."""
    after: Closeness
    """Of the restored face to the clean one."""
    sheet: Tensor
    """(H, W, 3) all three side by side, whole and close up."""


def demo_photo() -> Tensor:
    """Scikit-image's photo of the astronaut Eileen Collins (NASA, public domain).

    Returns:
        (512, 512, 3) float32 in 0..1.

    Raises:
        MissingModelError: scikit-image is not installed.
    """
    with needed_for("the demo's photo", "scikit-image"):
        from skimage import data
    return as_images(data.astronaut())[0]


def run_demo(
    network: Restorer,
    detector: FaceDetector,
    *,
    fidelity: float = 0.5,
    degradation: Degradation = DEMO_DEGRADATION,
    photo: Tensor | None = None,
    runtime: Runtime | None = None,
) -> Demo:
    """Degrade a photo, restore it, and measure both against the photo.

    Args:
        network: a loaded CodeFormer.
        detector: finds the face, in the degraded photo as a user would, and in the clean one to
            know where to measure.
        fidelity: 0 (quality) to 1 (identity).
        degradation: what happens to the photo.
        photo: (H, W, 3) in 0..1; `demo_photo()` if left out.
        runtime: as of `restore_image`.

    Raises:
        PictureError: no face was found in the clean or in the degraded photo.
        SettingError: a fidelity outside 0..1.
    """
    clean = demo_photo() if photo is None else photo
    degraded = degrade(clean, degradation, DEMO_SEED)
    face = _largest(detector.detect(clean[None]))
    result = restore_image(degraded, network, detector, fidelity=fidelity, runtime=runtime)
    if not result.faces.count:
        raise PictureError("no face was found in the degraded photo: choose a milder degradation")
    photos = torch.stack([clean, degraded, result.image])
    close_ups = crop_faces(photos, _in_every_frame(face, photos), CLOSE_UP)
    measured = _closeness(photos, close_ups, face)
    sheet = _sheet(photos, close_ups, measured, fidelity)
    return Demo(clean, degraded, result, *measured, sheet)


def _largest(faces: Faces) -> Face:
    if not faces.count:
        raise PictureError("no face was found in the photo: choose another one")
    return max(faces, key=lambda face: face.box.area)


def _in_every_frame(face: Face, photos: Tensor) -> Faces:
    return Faces(((face,),) * len(photos), *photos.shape[1:3])


def _closeness(photos: Tensor, close_ups: Tensor, face: Face) -> tuple[Closeness, Closeness]:
    """Of the second and the third photo to the first."""
    region = _region(photos, face)
    signal = psnr(region[:1].expand(2, -1, -1, -1), region[1:])
    identity = IdentityNetwork().distance(close_ups[:1].expand(2, -1, -1, -1), close_ups[1:])
    before, after = (
        Closeness(float(decibels), float(distance))
        for decibels, distance in zip(signal, identity, strict=True)
    )
    return before, after


def _region(photos: Tensor, face: Face) -> Tensor:
    """The upright rectangle around the aligned crop, of every photo."""
    across, down = zip(*face.placement.corners(), strict=True)
    height, width = photos.shape[1:3]
    left, right = max(0, round(min(across))), min(width, round(max(across)))
    top, bottom = max(0, round(min(down))), min(height, round(max(down)))
    return photos[:, top:bottom, left:right]


def _sheet(
    photos: Tensor, close_ups: Tensor, measured: tuple[Closeness, Closeness], fidelity: float
) -> Tensor:
    titles = ("Input (degraded)", f"Restored, fidelity {fidelity:g}", "Original")
    whole = [Panel(photos[index], (title,)) for index, title in zip((1, 2, 0), titles, strict=True)]
    captions = (*map(_numbers, measured), ("what both are compared with",))
    close = [
        Panel(close_ups[index], caption) for index, caption in zip((1, 2, 0), captions, strict=True)
    ]
    return draw_sheet([whole, close])


def _numbers(closeness: Closeness) -> tuple[str, ...]:
    return (str(closeness),)
