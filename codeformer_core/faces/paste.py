"""Put restored crops back into their pictures.

Work and memory follow the area of the faces: each one is blended inside the smallest rectangle
that holds its crop, and no pixel outside the masks changes by a single bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import PictureError, SettingError
from . import affine
from .colour import ColourMatch, match_colour
from .crop import check_frames, crop_face, placement_in
from .masks import DEFAULT_FEATHER, geometry_mask, square_mask
from .types import TEMPLATE_SIZE, Faces, Placement
from .warp import Rectangle, Resampling, enclosing, warp


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
    def parts(self) -> dict[str, bool]:
        """What a parser's ``masks`` takes: whether each optional part is replaced."""
        return {
            "hair": self.restore_hair,
            "glasses": self.restore_glasses,
            "hat": self.restore_hat,
            "neck": self.restore_neck,
        }

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
        masks = _crop_masks(masks, self._options, faces.count, self.frames.device)
        for face, crop, mask in zip(faces, crops, masks, strict=True):
            placement = placement_in(self.frames, face)
            crop = crop.to(self.frames.device, torch.float32)
            if self._options.colour_match != "none":
                original = self._frame_before(face.frame)
                crop = _with_original_colour(crop, mask, original, placement, self._options)
            frame, covered = self.frames[face.frame], self.mask[face.frame]
            _blend(frame, covered, crop, mask, placement, self._options)

    def _frame_before(self, index: int) -> Tensor:
        """Return a frame as it was before any face was pasted into it."""
        if self._original[0] != index:  # faces come frame by frame
            self._original = (index, self.frames[index].clone())
        return self._original[1]


def faces_mask(faces: Faces, feather: float = DEFAULT_FEATHER) -> Tensor:
    """Return (B, H, W) float32: where faces lie, as ``paste_faces`` would replace them."""
    mask = torch.zeros(len(faces), faces.height, faces.width)
    shape = geometry_mask(TEMPLATE_SIZE, feather)
    for face in faces:
        rectangle = _rectangle(face.placement)
        part = _part(mask[face.frame], rectangle)
        part.copy_(
            torch.lerp(part, torch.ones(()), _in_rectangle(shape, face.placement, rectangle))
        )
    return mask


def _check_crops(crops: Tensor, masks: Tensor | None, count: int) -> None:
    if crops.ndim != 4 or crops.shape[-1] != 3 or crops.shape[1] != crops.shape[2]:
        raise PictureError(
            f"square RGB crops (faces, side, side, 3) are needed, not {tuple(crops.shape)}"
        )
    if crops.shape[0] != count:
        raise PictureError(
            f"there are {crops.shape[0]} crops for {count} faces: every face needs its own crop, "
            "in the order in which they were cut out"
        )
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


def _crop_masks(
    masks: Tensor | None, options: PasteOptions, count: int, device: torch.device
) -> Tensor:
    """Return the masks to blend with, opacity included, (N, M, M) in crop space."""
    if masks is None:
        # One mask for all, at the template's resolution: smooth even where a small crop is
        # enlarged.
        shape = geometry_mask(TEMPLATE_SIZE, options.feather, device) * options.opacity
        return shape.expand(count, -1, -1)
    rim = square_mask(masks.shape[-1], options.feather, device)
    masks = masks.to(device, torch.float32).nan_to_num(nan=0.0).clamp(0.0, 1.0)
    return torch.minimum(masks, rim) * options.opacity


def _with_original_colour(
    crop: Tensor, mask: Tensor, image: Tensor, placement: Placement, options: PasteOptions
) -> Tensor:
    size = crop.shape[0]
    crop_placement = placement.rescaled(size)
    original = crop_face(image, crop_placement)
    # What lies outside the picture, even in part, has no colour to match.
    inside = torch.ones((), device=image.device).expand(*image.shape[:2], 1)
    nothing = torch.zeros(1, device=image.device)
    known = warp(inside, crop_placement.inverse, size, size, border=nothing) > 0.999
    factor = mask.shape[0] / size
    weights = warp(mask.unsqueeze(-1), affine.scaling(factor, factor), size, size) * known
    batch = (crop.unsqueeze(0), original.unsqueeze(0), weights.movedim(-1, 0))
    return match_colour(*batch, options.colour_match)[0]


def _blend(
    frame: Tensor,
    replaced: Tensor,
    crop: Tensor,
    mask: Tensor,
    placement: Placement,
    options: PasteOptions,
) -> None:
    """Blend one crop into its rectangle of the result and note it in the mask of the frame."""
    rectangle = _rectangle(placement)
    part, covered = _part(frame, rectangle), _part(replaced, rectangle)
    if part.numel() == 0:
        return
    face = _crop_in_rectangle(crop, placement, rectangle, options.resampling)
    if options.resampling == "bicubic":  # overshoots beside hard edges
        face.clamp_(crop.amin(), crop.amax())
    share = _in_rectangle(mask, placement, rectangle)
    below = part.float()
    # Broken pixels are repaired: x - x is 0 for all but NaN and the infinities.
    below = torch.where(below - below == 0.0, below, face)
    blended = torch.lerp(below, face, share.unsqueeze(-1)).to(part.dtype)
    part.copy_(torch.where(share.unsqueeze(-1) > 0.0, blended, part))
    covered.lerp_(torch.ones((), device=covered.device), share)


def _rectangle(placement: Placement) -> Rectangle:
    whole = enclosing(placement.corners())
    return whole.clipped(placement.picture_height, placement.picture_width)


def _part(frame: Tensor, rectangle: Rectangle) -> Tensor:
    return frame[rectangle.top : rectangle.bottom, rectangle.left : rectangle.right]


def _crop_in_rectangle(
    crop: Tensor, placement: Placement, rectangle: Rectangle, resampling: Resampling
) -> Tensor:
    to_crop = _from_rectangle(placement.rescaled(crop.shape[0]), rectangle)
    return warp(crop, to_crop, rectangle.height, rectangle.width, resampling=resampling)


def _in_rectangle(mask: Tensor, placement: Placement, rectangle: Rectangle) -> Tensor:
    to_mask = _from_rectangle(placement.rescaled(mask.shape[0]), rectangle)
    nothing = torch.zeros(1, device=mask.device)
    size = (rectangle.height, rectangle.width)
    share = warp(mask.unsqueeze(-1), to_mask, *size, border=nothing).squeeze(-1)
    return share.clamp(0.0, 1.0)


def _from_rectangle(placement: Placement, rectangle: Rectangle) -> affine.Affine:
    return affine.compose(placement.matrix, affine.translation(rectangle.left, rectangle.top))
