"""Give gray and faded faces natural colours, as the published colorization network does."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from ..faces import FaceParser, Faces, PasteOptions
from ..faces.colour import LUMINANCE_WEIGHTS, lab_to_rgb, rgb_to_lab
from ..faces.crop import check_frames
from ..images import resize
from ..models.restorer import Restorer
from ..networks import Fidelity, fidelity_per_face
from ..runtime import Runtime
from .batches import Batch, crops_of, restored_batches
from .crops import check_crops
from .notes import notes_on, sides_of
from .painting import PaintedPictures, Painter

VARIANT = "colorization"


def colorize(
    network: Restorer,
    images: Tensor,
    fidelity: Fidelity = 0.0,
    *,
    faces: Faces | None = None,
    keep_light: bool = False,
    parser: FaceParser | None = None,
    paste: PasteOptions | None = None,
    adain: bool | None = None,
    runtime: Runtime | None = None,
) -> PaintedPictures:
    """Give aligned faces colour, or the faces of whole pictures; colours they have are taken away.

    Args:
        network: a restorer, best of the colorization variant.
        images: aligned faces (N, H, H, 3 or 4), RGB in 0..1, or the (B, H, W, 3 or 4) pictures of
            `faces`; a fourth channel is kept.
        fidelity: 0 to 1, one number or one a face; the published colorization runs at 0.
        faces: the faces of whole pictures.
        keep_light: take only the colours from the network and the lightness from the picture.
        parser: makes the masks in whole pictures; without one they follow the geometry.
        paste: how to blend into whole pictures; the defaults if left out.
        adain: match colours in the network; None takes the variant's own setting.
        runtime: where networks run and progress goes.

    Returns:
        The pictures, or the crops at the network's size, in which a failed face has the colours it
        had.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: pictures of another shape, or of other faces.
        SettingError: a setting is out of range.
    """
    colours, runtime = images[..., :3], runtime or Runtime()
    if faces is None:
        check_crops(colours)
        crops, count = colours.__getitem__, len(colours)
    else:
        check_frames(colours, faces)
        crops, count = crops_of(colours, faces, network.size), faces.count
    batches = restored_batches(
        network,
        lambda part: as_gray(crops(part)),
        fidelity_per_face(fidelity, count),
        count,
        adain=adain,
        runtime=runtime,
    )
    if keep_light:
        batches = map(with_own_light, batches)
    if faces is None:
        return _coloured_crops(network, images, batches)
    painter = Painter(images.clone(), faces, network.size, paste or PasteOptions(), parser)
    failed = painter.paste_batches(batches, faces, runtime).failed
    notes = notes_on(network, sides_of(images, faces), failed, variant=VARIANT)
    return PaintedPictures(painter.pictures, painter.mask, notes)


def _coloured_crops(network: Restorer, crops: Tensor, batches: Iterable[Batch]) -> PaintedPictures:
    """Crops at the network's size with the colours of the batches."""
    resized = resize(crops.float(), network.size, network.size)
    result, failed = resized.clone(), list[int]()
    for batch in batches:
        result[batch.part, ..., :3] = batch.crops
        failed += batch.failed
    mask = result.new_ones(result.shape[:3])
    result[failed], mask[failed] = resized[failed], 0.0
    return PaintedPictures(
        result, mask, notes_on(network, sides_of(crops), failed, variant=VARIANT)
    )


def with_own_light(batch: Batch) -> Batch:
    """Restored crops, but with the lightness that their input had."""
    side = batch.crops.shape[1]
    light = rgb_to_lab(resize(batch.inputs.float(), side, side).clamp(0, 1))[..., :1]
    colours = rgb_to_lab(batch.crops)[..., 1:]
    crops = lab_to_rgb(torch.cat([light, colours], dim=-1)).clamp(0, 1)
    return replace(batch, crops=crops)


def as_gray(crops: Tensor) -> Tensor:
    """(N, S, S, 3) RGB to the luminance in three equal channels."""
    weights = torch.tensor(LUMINANCE_WEIGHTS, device=crops.device, dtype=crops.dtype)
    return (crops * (weights / weights.sum())).sum(dim=-1, keepdim=True).expand_as(crops)
