"""Put restored crops back into their pictures.

Work and memory follow the area of the faces: each one is blended inside the smallest rectangle
that holds its mask, and no pixel outside the masks changes by a single bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict

import torch
from torch import Tensor

from ..errors import PictureError, SettingError
from . import affine
from .colour import ColourMatch, match_colour
from .crop import check_frames, crop_face, placement_in
from .masks import DEFAULT_FEATHER, geometry_mask, square_mask
from .types import TEMPLATE_SIZE, Faces, Placement
from .warp import Rectangle, Resampling, enclosing, warp


class Parts(TypedDict):
    """Whether each optional part of a face is replaced."""

    hair: bool
    glasses: bool
    hat: bool
    neck: bool


@dataclass(frozen=True, slots=True)
class PasteOptions:
    """How crops are blended into the picture.

    Attributes:
        feather: width of the masks' soft edge as a share of the crop's side, 0 to 0.5.
        opacity: strength of the pasted faces, 0 (the picture stays as it is) to 1.
        colour_match: "none", "mean" or "lab": bring the crops' colours back to the original's.
        restore_hair: with a face parser, whether hair is replaced too (else it stays as it was).
        restore_glasses: the same for glasses.
        restore_hat: the same for a hat.
        restore_neck: the same for the neck, with a necklace.
        resampling: "bicubic" keeps enlarged crops crisp, "bilinear" is what the published
            helper does.
    """

    feather: float = DEFAULT_FEATHER
    opacity: float = 1.0
    colour_match: ColourMatch = "none"
    restore_hair: bool = True
    restore_glasses: bool = True
    restore_hat: bool = False
    restore_neck: bool = False
    resampling: Resampling = "bicubic"

    @property
    def parts(self) -> Parts:
        """What a parser's ``masks`` takes."""
        return Parts(
            hair=self.restore_hair,
            glasses=self.restore_glasses,
            hat=self.restore_hat,
            neck=self.restore_neck,
        )

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            SettingError: a value is out of its range.
        """
        if not 0.0 <= self.feather <= 0.5:
            raise SettingError(f"feather is {self.feather}: it must be between 0 and 0.5")
        if not 0.0 <= self.opacity <= 1.0:
            raise SettingError(f"opacity is {self.opacity}: it must be between 0 and 1")
        if self.colour_match not in ("none", "mean", "lab"):
            raise SettingError(f"colour match is {self.colour_match!r}: use none, mean or lab")
        if self.resampling not in ("bilinear", "bicubic"):
            raise SettingError(f"resampling is {self.resampling!r}: use bilinear or bicubic")


def paste_faces(
    images: Tensor,
    crops: Tensor,
    faces: Faces,
    options: PasteOptions | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Blend the crops of all faces into their pictures, one after the other.

    Args:
        images: (B, H, W, 3) float frames, RGB: those in which the faces were found or copies of
            them at any other size. Not changed.
        crops: (N, S, S, 3) float, one for each face in the order of ``faces``, any size S.
        faces: the faces of these frames.
        options: how to blend; the defaults if left out.
        masks: (N, M, M) float, 0..1, what to take of each crop, at any resolution M (a parser's
            masks); None takes the same soft face shape for all.

    Returns:
        The new (B, H, W, 3) frames in the dtype of ``images``, and the (B, H, W) float32 mask of
        what was replaced, 0..1. Where the mask is 0 the frames are ``images`` bit for bit.

    Raises:
        PictureError: frames, crops, masks and faces do not belong together, or a crop holds
            values that are not finite.
    """
    check_frames(images, faces)
    canvas = Canvas(images.clone(), options)
    canvas.paste(crops, faces, masks)
    return canvas.frames, canvas.mask


class Canvas:
    """Frames that get their crops in parts, so that not all crops need to be there at once.

    Attributes:
        frames: the (B, H, W, 3) frames so far.
        mask: what was replaced so far, (B, H, W) float32, 0..1.
    """

    def __init__(self, frames: Tensor, options: PasteOptions | None = None) -> None:
        """Start with nothing pasted.

        Args:
            frames: as ``images`` of ``paste_faces``, but painted on in place.
            options: how to blend; the defaults if left out.
        """
        self.frames = frames
        self.mask = frames.new_zeros(frames.shape[:3], dtype=torch.float32)
        self._options = options or PasteOptions()
        self._original = (-1, frames[:0])

    def paste(self, crops: Tensor, faces: Faces, masks: Tensor | None = None) -> None:
        """Blend some crops into the frames, one after the other.

        Args:
            crops: as of ``paste_faces``, one for each of ``faces``.
            faces: some faces of all the frames, after those of earlier calls.
            masks: as of ``paste_faces``.

        Raises:
            PictureError: as of ``paste_faces``.
        """
        check_frames(self.frames, faces)
        _check_crops(crops, masks, faces.count)
        blends = _masks_and_reaches(masks, faces.count, self._options, self.frames.device)
        for (frame, face), crop, (mask, reach) in zip(
            faces.in_frames(), crops, blends, strict=True
        ):
            placement = placement_in(self.frames, face)
            crop = crop.to(self.frames.device, torch.float32)
            if self._options.colour_match != "none":
                original = self._frame_before(frame)
                crop = _with_original_colour(crop, mask, original, placement, self._options)
            rectangle = _rectangle(placement, reach, mask.shape[-1])
            part = _part(self.frames[frame], rectangle)
            if part.numel() == 0:
                continue
            share = _in_rectangle(mask, placement, rectangle)
            _blend(part, _crop_in_rectangle(crop, placement, rectangle, self._options), share)
            _cover(_part(self.mask[frame], rectangle), share)

    def _frame_before(self, index: int) -> Tensor:
        """Return a frame as it was before any face was pasted into it."""
        if self._original[0] != index:  # faces come frame by frame
            self._original = (index, self.frames[index].clone())
        return self._original[1]


def check_count(crops: Tensor, count: int) -> None:
    """Raise a PictureError unless there is a square RGB crop for every face."""
    if crops.ndim != 4 or crops.shape[-1] != 3 or crops.shape[1] != crops.shape[2]:
        raise PictureError(
            f"square RGB crops (faces, side, side, 3) are needed, not {tuple(crops.shape)}"
        )
    if crops.shape[0] != count:
        raise PictureError(
            f"there are {crops.shape[0]} crops for {count} faces: every face needs its own crop, "
            "in the order in which they were cut out"
        )


def _check_crops(crops: Tensor, masks: Tensor | None, count: int) -> None:
    check_count(crops, count)
    if masks is not None and (masks.ndim != 3 or masks.shape[0] != count):
        raise PictureError(
            f"one square mask for each of the {count} faces is needed (faces, side, side), "
            f"not {tuple(masks.shape)}"
        )
    # One sum per crop: much cheaper than a look at every value, and not finite if one is not.
    sums = crops.flatten(1).sum(dim=1, dtype=torch.float32)
    bad = torch.nonzero(~torch.isfinite(sums)).flatten().tolist()
    if bad:
        raise PictureError(
            f"the crop of face {bad[0] + 1} holds values that are not numbers: the network "
            "failed on it; try another precision, or leave this face out"
        )


def _masks_and_reaches(
    masks: Tensor | None, count: int, options: PasteOptions, device: torch.device
) -> Iterator[tuple[Tensor, Rectangle]]:
    """Yield each mask to blend with, opacity included, (M, M) in crop space, and its reach."""
    if masks is None:
        # One mask for all, at the template's resolution: smooth even where a small crop is
        # enlarged.
        shape, reach = _usual_mask(options.feather, device)
        yield from itertools.repeat((shape * options.opacity, reach), count)
    else:
        rim = square_mask(masks.shape[-1], options.feather, device)
        masks = masks.to(device, torch.float32)
        for mask, reach in zip(masks, _reaches(masks), strict=True):
            mask = mask.nan_to_num(nan=0.0).clamp_(0.0, 1.0)
            yield torch.minimum(mask, rim, out=mask).mul_(options.opacity), reach


@lru_cache(maxsize=4)
def _usual_mask(feather: float, device: torch.device) -> tuple[Tensor, Rectangle]:
    """Return the mask by the geometry and its reach, made once: every frame of a video asks."""
    with torch.inference_mode(False):  # whoever asks first: a later one may want gradients
        shape = geometry_mask(TEMPLATE_SIZE, feather, device)
    return shape, _reaches(shape.unsqueeze(0))[0]


def _with_original_colour(
    crop: Tensor, mask: Tensor, image: Tensor, placement: Placement, options: PasteOptions
) -> Tensor:
    size = crop.shape[0]
    crop_placement = placement.rescaled(size)
    original = crop_face(image, crop_placement)
    # What lies outside the picture, even in part, has no colour to match.
    inside = torch.ones((), device=image.device).expand(*image.shape[:2], 1)
    known = warp(inside, crop_placement.inverse, size, size, border=(0.0,)) > 0.999
    factor = mask.shape[0] / size
    weights = warp(mask.unsqueeze(-1), affine.scaling(factor, factor), size, size) * known
    batch = (crop.unsqueeze(0), original.unsqueeze(0), weights.movedim(-1, 0))
    return match_colour(*batch, options.colour_match)[0]


def _reaches(masks: Tensor) -> list[Rectangle]:
    """Return the block outside of which each of (N, M, M) masks is 0."""
    edges: list[Tensor] = []
    for highest in (masks.amax(1), masks.amax(2)):  # of every column, of every row
        covered = (~(highest <= 0.0)).byte()  # which leaves NaN in
        edges += [covered.argmax(1), masks.shape[-1] - covered.flip(1).argmax(1)]
    left, right, top, bottom = edges
    return [Rectangle(*each) for each in torch.stack((left, top, right, bottom), 1).tolist()]


def _rectangle(placement: Placement, reach: Rectangle, side: int) -> Rectangle:
    """Return the picture's pixels that a mask of this side can cover."""
    in_mask = placement.rescaled(side)
    margin = 3.0 * max(1.0, in_mask.scale)  # for what sampling and shrinking add
    left, top = (max(edge - margin, -0.5) for edge in (reach.left, reach.top))
    right, bottom = (min(edge + margin, side - 0.5) for edge in (reach.right, reach.bottom))
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    whole = enclosing(affine.apply_all(in_mask.inverse, corners))
    return whole.clipped(placement.picture_height, placement.picture_width)


def _blend(part: Tensor, face: Tensor, share: Tensor) -> None:
    """Blend a face into its part of a frame, both (h, w, 3), by its (h, w) share, in place."""
    touched = share > 0.0
    # One sum is much cheaper than a look at every value, and not finite if one is not.
    if not bool(part.sum(dtype=torch.float32).isfinite()):
        broken = touched.unsqueeze(-1) & ~part.isfinite()
        part.copy_(torch.where(broken, face, part))
    # Channel by channel: loops over three values at a time cost more than the blending.
    for channel, plane in zip(part.unbind(-1), face.unbind(-1), strict=True):
        blended = torch.lerp(channel.float(), plane, share).to(channel.dtype)
        torch.where(touched, blended, channel, out=channel)


def _cover(covered: Tensor, share: Tensor) -> None:
    """Note in a part of the mask of a frame what was replaced."""
    covered.lerp_(torch.ones((), device=covered.device), share)


def _part(frame: Tensor, rectangle: Rectangle) -> Tensor:
    return frame[rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def _crop_in_rectangle(
    crop: Tensor, placement: Placement, rectangle: Rectangle, options: PasteOptions
) -> Tensor:
    to_crop = _from_rectangle(placement.rescaled(crop.shape[0]), rectangle)
    size = (rectangle.height, rectangle.width)
    face = warp(crop, to_crop, *size, resampling=options.resampling)
    if options.resampling == "bicubic":  # overshoots beside hard edges
        face.clamp_(crop.amin(), crop.amax())
    return face


def _in_rectangle(mask: Tensor, placement: Placement, rectangle: Rectangle) -> Tensor:
    to_mask = _from_rectangle(placement.rescaled(mask.shape[0]), rectangle)
    size = (rectangle.height, rectangle.width)
    share = warp(mask.unsqueeze(-1), to_mask, *size, border=(0.0,)).squeeze(-1)
    return share.clamp_(0.0, 1.0)


def _from_rectangle(placement: Placement, rectangle: Rectangle) -> affine.Affine:
    return affine.compose(placement.matrix, affine.translation(rectangle.left, rectangle.top))
