"""Paste restored faces into pictures, masked by a parser and enlarged where they need to be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..faces import Canvas, FaceParser, Faces, PasteOptions
from ..faces.crop import check_frames
from ..faces.paste import check_count
from ..runtime import Runtime
from .batches import Batch
from .notes import LARGEST_FACE, failure_notes
from .upscaling import Upscaler, check_upscale, enlarged_copy

PASTED_AT_ONCE = 4
"""Faces whose masks and enlarged crops are there at once."""


@dataclass(frozen=True)
class PaintedPictures:
    """Pictures whose faces were changed."""

    images: Tensor
    """(B, H, W, 3 or 4), outside of `mask` the very input while they keep their size."""
    mask: Tensor
    """(B, H, W): how much of each pixel is new."""
    warnings: tuple[str, ...] = ()
    """What the user should know, in the user's words."""


class Pasted(NamedTuple):
    """What became of restored faces; places count from 0."""

    failed: tuple[int, ...]
    """Places of those without finite pixels, which were left alone."""
    clean: tuple[int, ...]
    """Places of those that were clean, and left alone."""
    fidelity: tuple[float, ...]
    """Of each face, where it was chosen by itself; else empty."""


class Painter:
    """Pastes faces into pictures of the result's size, in place, batch by batch.

    Attributes:
        pictures: (B, H, W, 3 or 4) as they are so far.
    """

    def __init__(
        self,
        pictures: Tensor,
        faces: Faces,
        side: int,
        options: PasteOptions,
        parser: FaceParser | None = None,
        face_upscaler: Upscaler | None = None,
    ) -> None:
        """Prepare to paste `faces`, whose crops have `side` pixels a side."""
        self.pictures = pictures
        self._canvas = Canvas(pictures[..., :3], options)
        self._parts = options.parts
        self._parser = parser
        enlarges = face_upscaler is not None and _pasted_larger(side, faces, pictures)
        self._upscaler = face_upscaler if enlarges else None

    @property
    def mask(self) -> Tensor:
        """(B, H, W): what was replaced so far."""
        return self._canvas.mask

    def paste(self, crops: Tensor, faces: Faces, runtime: Runtime) -> None:
        """Paste (N, S, S, 3) crops of some of the faces, after those of earlier calls."""
        check_count(crops, faces.count)
        count = len(crops)
        for start in range(0, count, PASTED_AT_ONCE):
            part = slice(start, start + PASTED_AT_ONCE)
            share = runtime.share(start / count, min(1.0, part.stop / count))
            self._paste(crops[part], faces.take(range(start, part.stop)), share)

    def paste_batches(self, batches: Iterable[Batch], faces: Faces, runtime: Runtime) -> Pasted:
        """Paste restored `faces`, each batch before the next is made; say which were left alone."""
        failed: list[int] = []
        clean: list[int] = []
        fidelity: list[float] = []
        for batch in batches:
            share = runtime.share(batch.part.start / faces.count, batch.part.stop / faces.count)
            self.paste(batch.sound_crops, faces.take(batch.sound), share)
            failed += batch.failed
            clean += batch.clean
            fidelity += batch.fidelity
        return Pasted(tuple(failed), tuple(clean), tuple(fidelity))

    def _paste(self, crops: Tensor, faces: Faces, runtime: Runtime) -> None:
        masks = None
        if self._parser is not None:
            masks = self._parser.masks(crops, runtime=runtime.share(0, 0.5), **self._parts)
        if self._upscaler is not None:
            crops = self._upscaler(crops, runtime.share(0.5, 1))
        self._canvas.paste(crops, faces, masks)


def paste_crops(
    images: Tensor,
    crops: Tensor,
    faces: Faces,
    options: PasteOptions | None = None,
    *,
    parser: FaceParser | None = None,
    upscale: float = 1.0,
    upscaler: Upscaler | None = None,
    face_upscaler: Upscaler | None = None,
    runtime: Runtime | None = None,
) -> PaintedPictures:
    """Enlarge pictures and put crops into them.

    Args:
        images: (B, H, W, 3 or 4) pictures, or resized copies of them; a fourth channel is kept.
        crops: (N, S, S, 3), one for each face; one that is not finite is named and left out.
        faces: the faces of the pictures.
        options: how to blend; the defaults if left out.
        parser: makes the masks; without one they follow the geometry.
        upscale: factor for the pictures, 1 to 4; they get exactly that size rounded to pixels.
        upscaler: enlarges the pictures instead of bicubic interpolation.
        face_upscaler: enlarges the crops first, if any is pasted larger than it is.
        runtime: where networks run and progress goes.

    Raises:
        PictureError: pictures, crops and faces do not belong together.
        SettingError: the factor is out of range.
    """
    check_upscale(upscale)
    check_frames(images[..., :3], faces)
    if not faces.count:  # what came in the place of crops is nobody's
        crops = crops[:0]
    check_count(crops, faces.count)
    runtime = runtime or Runtime()
    result = enlarged_copy(images, upscale, upscaler, runtime.share(0, 0.5))
    painter = Painter(
        result, faces, crops.shape[1], options or PasteOptions(), parser, face_upscaler
    )
    finite = crops.isfinite().flatten(1).all(1)
    failed = (~finite).nonzero().flatten().tolist()
    painter.paste(crops[finite], faces.without(failed), runtime.share(0.5, 1))
    return PaintedPictures(result, painter.mask, failure_notes(failed, len(finite)))


def with_opacity(pictures: Tensor, images: Tensor) -> Tensor:
    """(B, H, W, 3) pictures with the fourth channel of `images`, if they have one."""
    return torch.cat([pictures, images[..., 3:]], dim=-1)


def _pasted_larger(side: int, faces: Faces, pictures: Tensor) -> bool:
    """Whether a crop of this many pixels a side covers more of its picture than it has."""
    height, width = pictures.shape[1:3]
    placements = (face.placement.in_upscaled_picture(height, width) for face in faces)
    return any(placement.face_size > side * LARGEST_FACE for placement in placements)
