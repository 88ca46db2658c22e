"""What the other two published networks do: fill hidden parts of faces, and give faces colour."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import PictureError
from ..faces import Faces, PasteOptions, crop_faces, paste_faces
from ..faces.colour import LUMINANCE_WEIGHTS, lab_to_rgb, rgb_to_lab
from ..faces.crop import check_frames, placement_in
from ..faces.warp import warp
from ..images import resize
from ..networks import Fidelity
from .crops import CHUNK, FaceRestorer, Progress, RestoredCrops, try_restore_crops

HIDDEN = 0.5 / 255
"""A mask above this hides its pixel from the network altogether."""
WHITE = 1.0
"""What the networks were trained to see where a face is hidden."""


@dataclass(frozen=True)
class InpaintedPictures:
    """Whole pictures with their faces filled."""

    images: Tensor
    """(B, H, W, 3), bit for bit the input where the mask is 0."""
    mask: Tensor
    """(B, H, W): what was filled."""
    broken: tuple[int, ...]
    """Indices of the faces that were left as they were: their results held NaN or infinity."""


def inpaint_crops(
    network: FaceRestorer,
    crops: Tensor,
    masks: Tensor,
    fidelity: Fidelity = 1.0,
    *,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> RestoredCrops:
    """Fill the masked parts of aligned faces.

    Args:
        network: a loaded CodeFormer, best of the inpainting variant.
        crops: (N, H, H, 3) RGB in 0..1.
        masks: (N, h, w) or one for all (1, h, w), 1 where to fill, any size.
        fidelity: 0 to 1; the published inpainting runs at 1.
        adain: match colours in the network; None takes the variant's own setting.
        chunk: faces of one forward pass.
        on_progress: called with (faces done, faces in all) after every chunk.

    Returns:
        (N, H, H, 3) at the crops' own size: where the mask is 0, `crops` bit for bit.

    Raises:
        PictureError: crops of another shape, or masks that do not belong to them.
        SettingError: a setting is out of range.
    """
    masks = fitting_masks(masks, crops)
    hidden = hide(crops, masks)
    restored = try_restore_crops(
        network, hidden, fidelity, adain=adain, chunk=chunk, on_progress=on_progress
    )
    filled = resize(restored.crops, *crops.shape[1:3])
    for index in restored.broken:
        filled[index] = crops[index]
    return replace(restored, crops=composite(crops, filled, masks))


def inpaint_pictures(
    network: FaceRestorer,
    images: Tensor,
    faces: Faces,
    masks: Tensor,
    fidelity: Fidelity = 1.0,
    *,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> InpaintedPictures:
    """Fill the masked parts of the faces of whole pictures.

    Args:
        network: a loaded CodeFormer, best of the inpainting variant.
        images: (B, H, W, 3) RGB in 0..1, those in which the faces were found.
        faces: their faces.
        masks: (B, h, w) or (1, h, w), 1 where to fill.
        fidelity: as of `inpaint_crops`, and so are the settings that follow.
        adain: see there.
        chunk: see there.
        on_progress: see there.

    Returns:
        The pictures, the same bit for bit where the mask is 0 or no face is.

    Raises:
        PictureError: masks or faces of other pictures.
        SettingError: a setting is out of range.
    """
    check_frames(images, faces)
    masks = fitting_masks(masks, images)
    crops = crop_faces(hide(images, masks), faces, network.size)
    parts = enumerate(_crop_masks(images, masks, faces, crops))
    touched = [place for place, part in parts if bool(part.max() > HIDDEN)]
    restored = try_restore_crops(
        network,
        crops[touched],
        fidelity,
        adain=adain,
        chunk=chunk,
        on_progress=on_progress,
    )
    good = [index for index in range(len(touched)) if index not in restored.broken]
    results = restored.crops[good]
    options, whole = PasteOptions(feather=0.04), torch.ones(results.shape[:3])
    filled = faces.take({touched[index] for index in good})
    pasted, reached = paste_faces(images, results, filled, options, whole)
    return InpaintedPictures(
        composite(images, pasted, masks),
        masks * reached,
        tuple(touched[index] for index in restored.broken),
    )


def colorize_crops(
    network: FaceRestorer,
    crops: Tensor,
    fidelity: Fidelity = 0.0,
    *,
    keep_light: bool = False,
    adain: bool | None = None,
    chunk: int = CHUNK,
    on_progress: Progress | None = None,
) -> RestoredCrops:
    """Give aligned gray faces colour; colours that are there already are taken away first.

    Args:
        network: a loaded CodeFormer, best of the colorization variant.
        crops: (N, H, H, 3) RGB in 0..1.
        fidelity: 0 to 1; the published colorization runs at 0.
        keep_light: take only the colours from the network and the lightness from the crops.
        adain: match colours in the network; None takes the variant's own setting.
        chunk: faces of one forward pass.
        on_progress: called with (faces done, faces in all) after every chunk.

    Returns:
        (N, S, S, 3) at the network's size; a broken face is its crop with the colours it had.

    Raises:
        PictureError: crops of another shape.
        SettingError: a setting is out of range.
    """
    gray = _as_gray(crops)
    restored = try_restore_crops(
        network, gray, fidelity, adain=adain, chunk=chunk, on_progress=on_progress
    )
    coloured = restored.crops
    if keep_light and len(crops):
        light = rgb_to_lab(resize(gray.float(), network.size, network.size).clamp(0, 1))[..., :1]
        colours = rgb_to_lab(coloured)[..., 1:]
        coloured = lab_to_rgb(torch.cat([light, colours], dim=-1)).clamp(0, 1)
    for index in restored.broken:
        coloured[index] = resize(crops[index, None].float(), network.size, network.size)[0]
    return replace(restored, crops=coloured)


def fitting_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks to the number and size of pictures: (B, H, W) float32 in 0..1, NaN as 0.

    Args:
        masks: (B, h, w), (1, h, w) or (h, w).
        images: (B, H, W, C).

    Raises:
        PictureError: neither one mask nor as many as pictures.
    """
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3 or len(masks) not in (1, len(images)):
        raise PictureError(
            f"there are {len(masks)} masks for {len(images)} pictures: give one for all, or one "
            "for each"
        )
    masks = masks.to(images.device, torch.float32).nan_to_num(0.0).clamp(0, 1)
    if masks.shape[1:] != images.shape[1:3]:
        size = (int(images.shape[1]), int(images.shape[2]))
        masks = functional.interpolate(masks[:, None], size, mode="bilinear", antialias=True)[:, 0]
    return masks.expand(len(images), -1, -1)


def hide(images: Tensor, masks: Tensor) -> Tensor:
    """White where the masks hide the pictures."""
    return torch.where((masks > HIDDEN)[..., None], torch.full_like(images, WHITE), images)


def composite(images: Tensor, filled: Tensor, masks: Tensor) -> Tensor:
    """`filled` where the masks are 1; `images` bit for bit where they are 0."""
    result = images.clone()
    touched = (masks > 0).any(0)  # (H, W), of all pictures
    rows, columns = _reach(touched.any(1)), _reach(touched.any(0))
    block = (slice(None), rows, columns)
    share, below, above = masks[block][..., None], images[block], filled[block].to(images)
    sound = torch.where(below.isfinite(), below, above)
    # What nothing was put into stays: between two infinities there is no number.
    changed = (share > 0) & (above != below)
    result[block] = torch.where(changed, torch.lerp(sound, above, share), below)
    return result


def _reach(line: Tensor) -> slice:
    """From the first to the last place that is true."""
    places = line.nonzero().flatten().tolist()
    return slice(places[0], places[-1] + 1) if places else slice(0, 0)


def _crop_masks(images: Tensor, masks: Tensor, faces: Faces, crops: Tensor) -> list[Tensor]:
    """The masks as the crops show them."""
    size = crops.shape[1]
    places = [
        (frame, placement_in(images, face).rescaled(size).inverse)
        for frame, face in faces.in_frames()
    ]
    return [
        warp(masks[frame][..., None], to_picture, size, size, border=(0.0,))
        for frame, to_picture in places
    ]


def _as_gray(crops: Tensor) -> Tensor:
    weights = torch.tensor(LUMINANCE_WEIGHTS, device=crops.device, dtype=crops.dtype)
    if crops.shape[-1] != 3:
        raise PictureError(f"RGB faces (N, S, S, 3) are needed, not {tuple(crops.shape)}")
    return (crops * (weights / weights.sum())).sum(dim=-1, keepdim=True).expand_as(crops)
