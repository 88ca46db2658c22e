"""Restore the faces of whole pictures: detect, crop, restore, paste back."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import SettingError
from ..faces import (
    DEFAULT_CONFIDENCE,
    DEFAULT_MIN_SIZE,
    Canvas,
    FaceDetector,
    FaceParser,
    Faces,
    PasteOptions,
    crop_faces,
)
from ..faces.crop import check_frames
from ..images import Pixels, as_images, resize
from ..networks import Fidelity
from ..runtime import Runtime
from .crops import CHUNK, FaceRestorer, Progress, fidelity_per_face, keep_tone, try_restore_crops
from .large_faces import LARGEST_FACE, large_face_notes

Upscaler = Callable[[Tensor], Tensor]
"""Enlarges (B, H, W, 3) pictures by a factor of its own."""

LARGEST_UPSCALE = 4.0
PROGRESS_STEPS = 1000
DETECTION_STEPS = 200
"""Share of the progress that belongs to the search for faces."""


@dataclass(frozen=True)
class RestoredImage:
    """A picture, or a batch, with its faces restored."""

    image: Tensor
    """Float32 in the shape of the input times the upscale; outside of `mask` the very input."""
    mask: Tensor
    """(H, W) or (B, H, W) float32: how much of each pixel comes from a restored face."""
    faces: Faces
    """Every face that was found or given, in pixels of the input."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""


def restore_image(
    image: Pixels,
    network: FaceRestorer,
    detector: FaceDetector | None = None,
    *,
    fidelity: Fidelity = 0.5,
    faces: Faces | None = None,
    parser: FaceParser | None = None,
    paste: PasteOptions | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    min_size: float = DEFAULT_MIN_SIZE,
    upscale: float = 1.0,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
    adain: bool | None = None,
    keep_gray: bool = True,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> RestoredImage:
    """Restore every face of a picture or a batch of frames.

    Args:
        image: (H, W, 3), or a batch (B, H, W, 3), torch or numpy, uint8, uint16 or float in 0..1;
            gray is accepted, and a fourth channel is kept as opacity.
        network: a loaded CodeFormer.
        detector: finds the faces; not needed if `faces` are given.
        fidelity: 0 (quality) to 1 (identity), one number or one a face.
        faces: faces found or chosen before.
        parser: cuts the mask out along hair and neck; without one it follows the geometry.
        paste: feather, opacity and colour match of the blend.
        confidence: faces scored lower are left alone, 0 to 1.
        min_size: smaller faces, in pixels, are left alone.
        upscale: enlarge the whole picture, 1 to 4; faces are pasted at the new size.
        upscaler: enlarges the background instead of bicubic interpolation.
        face_upscaler: enlarges the restored faces before they are pasted, where a face of the
            result is larger than the model's crops.
        adain: match colours in the network; None takes the variant's own setting.
        keep_gray: faces of gray and toned pictures stay gray or toned.
        chunk: faces of one forward pass; halved while the device's memory runs out.
        on_progress: called with (steps done, steps in all), where a step is a thousandth.

    Returns:
        The restored picture. Pixels outside its mask are the input's, bit for bit, while
        `upscale` is 1. A face the model gave no finite pixels for is left as it was and named in
        the warnings, as are faces larger than the model's crops.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: not a picture, or faces of another one.
        SettingError: a setting is out of range, or there is neither a detector nor faces.
    """
    _check_upscale(upscale)
    images = as_images(image)
    colours = images[..., :3]
    progress = _Progress(on_progress)
    if faces is None:
        faces = _detect(colours, detector, confidence, min_size, progress)
    check_frames(colours, faces)
    fidelities = fidelity_per_face(fidelity, faces.count)
    result = _enlarged_copy(images, upscale, upscaler)
    painter = _Painter(result, faces, network.size, paste or PasteOptions(), parser, face_upscaler)
    broken: list[int] = []
    # Chunk by chunk from the crop to the paste: memory does not grow with the number of faces.
    for places in _chunks(faces.count, chunk):
        part = faces.take(places)
        crops = crop_faces(colours, part, network.size)
        weights = fidelities[places.start : places.stop]
        restored = try_restore_crops(network, crops, weights, adain=adain, chunk=chunk)
        results = restored.crops
        if keep_gray:
            results = keep_tone(network, results, crops)
        sound = [index for index in range(part.count) if index not in restored.broken]
        painter.paste(results[sound], part.take(sound))
        broken += [places[index] for index in restored.broken]
        progress.restoring(places.stop, faces.count)
    progress.restoring(1, 1)
    single = image.ndim < 4
    return RestoredImage(
        image=result[0] if single else result,
        mask=painter.mask[0] if single else painter.mask,
        faces=faces,
        warnings=_warnings(faces, tuple(broken), network.size),
    )


def _chunks(count: int, chunk: int) -> list[range]:
    if chunk < 1:
        raise SettingError(f"chunk is {chunk}: it must be at least 1 face")
    return [range(start, min(start + chunk, count)) for start in range(0, count, chunk)]


def _enlarged_copy(images: Tensor, upscale: float, upscaler: Upscaler | None) -> Tensor:
    """Pictures of their own to paint on, with the opacity that `images` have."""
    larger = enlarge(images[..., :3], upscale, upscaler)
    if larger.shape[1:3] == images.shape[1:3]:
        return images.clone()
    if images.shape[3] == 3:
        return larger
    return torch.cat([larger, enlarge(images[..., 3:], upscale)], dim=3)


class _Painter:
    """Pastes restored faces into pictures of the result's size, in place."""

    def __init__(
        self,
        pictures: Tensor,
        faces: Faces,
        side: int,
        options: PasteOptions,
        parser: FaceParser | None,
        face_upscaler: Upscaler | None,
    ) -> None:
        """Prepare to paste `faces`, whose crops have `side` pixels a side."""
        self._canvas = Canvas(pictures[..., :3], options)
        self._parts = options.parts
        self._parser = parser
        enlarges = face_upscaler is not None and _pasted_larger(side, faces, pictures)
        self._upscaler = face_upscaler if enlarges else None

    @property
    def mask(self) -> Tensor:
        """(B, H, W): what was replaced so far."""
        return self._canvas.mask

    def paste(self, crops: Tensor, faces: Faces) -> None:
        """Paste (N, S, S, 3) crops of some of the faces."""
        masks = self._parser.masks(crops, **self._parts) if self._parser and len(crops) else None
        if self._upscaler is not None and len(crops):
            crops = self._upscaler(crops)
        self._canvas.paste(crops, faces, masks)


def paste_enlarged(
    images: Tensor,
    crops: Tensor,
    faces: Faces,
    options: PasteOptions,
    *,
    parser: FaceParser | None = None,
    upscale: float = 1.0,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
) -> tuple[Tensor, Tensor]:
    """Enlarge pictures and put crops into them.

    Args:
        images: (B, H, W, 3 or 4) pictures, or resized copies of them; a fourth channel is kept.
        crops: (N, S, S, 3), one for each face.
        faces: the faces of the pictures.
        options: how to blend.
        parser: makes the masks; without one they follow the geometry.
        upscale: factor for the pictures, 1 to 4.
        upscaler: enlarges the pictures instead of bicubic interpolation.
        face_upscaler: enlarges the crops first, if any is pasted larger than it is.

    Returns:
        The pictures, at exactly `upscale` times their size rounded to pixels, and the mask of what
        was pasted, (B, H, W) at that size.

    Raises:
        PictureError: pictures, crops and faces do not belong together.
        SettingError: the factor is out of range.
    """
    _check_upscale(upscale)
    result = _enlarged_copy(images, upscale, upscaler)
    painter = _Painter(result, faces, crops.shape[1], options, parser, face_upscaler)
    painter.paste(crops, faces)
    return result, painter.mask


def _check_upscale(upscale: float) -> None:
    if not 1 <= upscale <= LARGEST_UPSCALE:
        raise SettingError(f"upscale is {upscale}: it must be between 1 and {LARGEST_UPSCALE:g}")


def _pasted_larger(side: int, faces: Faces, pictures: Tensor) -> bool:
    """Whether a crop of this many pixels a side covers more of its picture than it has."""
    height, width = pictures.shape[1:3]
    placements = (face.placement.in_upscaled_picture(height, width) for face in faces)
    return any(placement.face_size > side * LARGEST_FACE for placement in placements)


class _Progress:
    """Detection and restoration on one scale that only rises."""

    def __init__(self, report: Progress | None) -> None:
        self._report = report
        self._start = 0

    def detecting(self, done: int, total: int) -> None:
        self._start = DETECTION_STEPS
        self._say(DETECTION_STEPS * done // total)

    def restoring(self, done: int, total: int) -> None:
        self._say(self._start + (PROGRESS_STEPS - self._start) * done // total)

    def _say(self, done: int) -> None:
        if self._report is not None:
            self._report(done, PROGRESS_STEPS)


def _detect(
    colours: Tensor,
    detector: FaceDetector | None,
    confidence: float,
    min_size: float,
    progress: _Progress,
) -> Faces:
    if detector is None:
        raise SettingError("give a face detector, or the faces")
    return detector.detect(
        colours,
        confidence=confidence,
        min_size=min_size,
        runtime=Runtime(progress.detecting),
    )


def enlarge(images: Tensor, upscale: float, upscaler: Upscaler | None = None) -> Tensor:
    """Enlarge (B, H, W, 3) pictures to exactly `upscale` times their size, rounded to pixels.

    Args:
        images: pictures; returned as they are if their size does not change.
        upscale: the factor.
        upscaler: does the work by a factor of its own; its result is resized to fit.
    """
    height, width = (round(side * upscale) for side in images.shape[1:3])
    if (height, width) == images.shape[1:3]:
        return images
    larger = images.new_empty((len(images), height, width, images.shape[3]))
    # Frame by frame: an upscaler's own factor may be larger, and interpolation needs room too.
    for frame, place in zip(images.split(1), larger.split(1), strict=True):
        place.copy_(resize(frame if upscaler is None else upscaler(frame), height, width))
    return larger


def _warnings(faces: Faces, broken: tuple[int, ...], size: int) -> tuple[str, ...]:
    warnings: list[str] = []
    if broken:
        numbers = ", ".join(str(index + 1) for index in broken)
        warnings.append(
            f"left as it was, because the model gave no finite pixels: face {numbers} of "
            f"{faces.count}; load the model as float32 if it runs in a smaller type"
        )
    sizes = [face.placement.face_size for face in faces]
    return (*warnings, *large_face_notes(sizes, size))
