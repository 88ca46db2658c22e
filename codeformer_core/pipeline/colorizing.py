"""Give gray and faded faces natural colours, as the published colorization network does."""

from dataclasses import replace

import torch
from torch import Tensor

from ..faces import FaceParser, Faces, PasteOptions, crop_faces
from ..faces.colour import LUMINANCE_WEIGHTS, lab_to_rgb, rgb_to_lab
from ..faces.crop import check_frames
from ..images import resize
from ..models.restorer import Restorer
from ..networks import Fidelity, fidelity_per_face
from ..runtime import Runtime
from .batches import Batch, places_of, restored_batches
from .crops import check_crops, new_crops
from .notes import notes_on, sides_of
from .painting import PaintedPictures, Painter, with_opacity

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
    """Give aligned faces colour, or the `faces` of whole pictures.

    Args:
        network: a restorer, best of the colorization variant.
        images: as of `colorize_crops`, or of `colorize_pictures` if there are `faces`.
        fidelity: see there, and so are the settings that follow.
        faces: the faces of whole pictures.
        keep_light: see there.
        parser: see there; of whole pictures only.
        paste: see there; of whole pictures only.
        adain: see there.
        runtime: see there.
    """
    if faces is None:
        return colorize_crops(
            network, images, fidelity, keep_light=keep_light, adain=adain, runtime=runtime
        )
    return colorize_pictures(
        network,
        images,
        faces,
        fidelity,
        keep_light=keep_light,
        parser=parser,
        paste=paste,
        adain=adain,
        runtime=runtime,
    )


def colorize_crops(
    network: Restorer,
    crops: Tensor,
    fidelity: Fidelity = 0.0,
    *,
    keep_light: bool = False,
    adain: bool | None = None,
    runtime: Runtime | None = None,
) -> PaintedPictures:
    """Give aligned gray faces colour; colours that are there already are taken away first.

    Args:
        network: a restorer, best of the colorization variant.
        crops: (N, H, H, 3 or 4) RGB in 0..1; a fourth channel is kept.
        fidelity: 0 to 1, one number or one a face; the published colorization runs at 0.
        keep_light: take only the colours from the network and the lightness from the crops.
        adain: match colours in the network; None takes the variant's own setting.
        runtime: where the network runs and progress goes, counted in faces.

    Returns:
        The crops at the network's size; a failed face is its crop with the colours it had.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: crops of another shape.
        SettingError: a setting is out of range.
    """
    colours, side = crops[..., :3], network.size
    check_crops(colours)
    result, failed = new_crops(colours, side), list[int]()
    for batch in restored_batches(
        network,
        lambda part: as_gray(colours[part]),
        fidelity_per_face(fidelity, len(crops)),
        adain=adain,
        keep_gray=False,
        runtime=runtime or Runtime(),
    ):
        result[batch.part] = (with_own_light(batch) if keep_light else batch).crops
        failed += batch.failed
    mask = result.new_ones(result.shape[:3])
    result[failed], mask[failed] = resize(colours[failed].float(), side, side), 0.0
    return PaintedPictures(
        with_opacity(result, resize(crops.float(), side, side)),
        mask,
        notes_on(network, sides_of(crops), failed, variant=VARIANT),
    )


def colorize_pictures(
    network: Restorer,
    images: Tensor,
    faces: Faces,
    fidelity: Fidelity = 0.0,
    *,
    keep_light: bool = False,
    parser: FaceParser | None = None,
    paste: PasteOptions | None = None,
    adain: bool | None = None,
    runtime: Runtime | None = None,
) -> PaintedPictures:
    """Give the faces of whole pictures colour.

    Args:
        network: a restorer, best of the colorization variant.
        images: (B, H, W, 3 or 4) RGB in 0..1; a fourth channel is kept.
        faces: the faces of these pictures.
        fidelity: as of `colorize_crops`, and so are the settings that follow.
        keep_light: see there.
        parser: makes the masks; without one they follow the geometry.
        paste: how to blend; the defaults if left out.
        adain: see there.
        runtime: see there.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: faces of other pictures.
        SettingError: a setting is out of range.
    """
    colours = images[..., :3]
    check_frames(colours, faces)
    runtime, result, failed = runtime or Runtime(), images.clone(), list[int]()
    painter = Painter(result, faces, network.size, paste or PasteOptions(), parser)
    for batch in restored_batches(
        network,
        lambda part: as_gray(crop_faces(colours, faces.take(places_of(part)), network.size)),
        fidelity_per_face(fidelity, faces.count),
        adain=adain,
        keep_gray=False,
        runtime=runtime,
    ):
        painter.paste_batch(with_own_light(batch) if keep_light else batch, faces, runtime)
        failed += batch.failed
    notes = notes_on(network, sides_of(images, faces), failed, variant=VARIANT)
    return PaintedPictures(result, painter.mask, notes)


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
