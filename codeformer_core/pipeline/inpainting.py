"""Fill hidden parts of faces.

A network trained for it sees white there, as the published one does. Another sees a first guess,
and then what it made of that.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import PictureError
from ..faces import Canvas, Faces, PasteOptions
from ..faces.crop import check_frames, placement_in
from ..faces.warp import warp
from ..images import from_network, resize, to_network
from ..images.tensors import interpolate
from ..models.restorer import Restorer
from ..networks import Fidelity, fidelity_per_face
from ..runtime import Runtime
from .automatic import Generated
from .batches import Batch, crops_of, finished_batches, restored_batches, shortest
from .crops import check_crops
from .first_guess import depth, surroundings, with_mean_face
from .notes import notes_on, sides_of
from .painting import PaintedPictures, with_opacity

VARIANT = "inpainting"
HIDDEN = 0.5 / 255
"""A mask above this hides its pixel from the network altogether."""
WHITE = 1.0
"""What the networks were trained to see where a face is hidden."""
FEATHER = 0.04
"""Of the filled crops, in whole pictures."""
SKETCHES = 2
"""How often a network that was not trained to fill looks at its own picture, at fidelity 0."""

Part = Callable[[slice], Tensor]
"""What makes a batch of some places."""


def inpaint(
    network: Restorer,
    images: Tensor,
    masks: Tensor,
    fidelity: Fidelity = 1.0,
    *,
    faces: Faces | None = None,
    adain: bool | None = None,
    runtime: Runtime | None = None,
) -> PaintedPictures:
    """Fill the masked parts of aligned faces, or of the faces of whole pictures.

    Args:
        network: a restorer, best of the inpainting variant.
        images: aligned faces (N, H, H, 3 or 4), RGB in 0..1, or the (B, H, W, 3 or 4) pictures in
            which the `faces` were found; a fourth channel is kept.
        masks: (B, h, w) or one for all (1, h, w), 1 where to fill, any size.
        fidelity: 0 to 1, one number or one a face; the published inpainting runs at 1.
        faces: the faces of whole pictures.
        adain: match colours in the network; None takes the variant's own setting.
        runtime: where the network runs and progress goes, counted in faces.

    Returns:
        The pictures at their own size, the same bit for bit where the mask is 0 or no face is.

    Raises:
        OutOfMemoryError: the device has no room even for one face at a time.
        PictureError: pictures of another shape, or masks or faces that do not belong to them.
        SettingError: a setting is out of range.
    """
    runtime = runtime or Runtime()
    if faces is None:
        return _fill_crops(network, images, masks, fidelity, adain, runtime)
    return _fill_pictures(network, images, faces, masks, fidelity, adain, runtime)


def _fill_crops(
    network: Restorer,
    crops: Tensor,
    masks: Tensor,
    fidelity: Fidelity,
    adain: bool | None,
    runtime: Runtime,
) -> PaintedPictures:
    colours = crops[..., :3]
    check_crops(colours)
    masks = fitting_masks(masks, colours)
    result, reached, failed = crops.clone(), masks.clone(), list[int]()
    touched = (masks > HIDDEN).flatten(1).any(1).nonzero().flatten().tolist()
    for batch in _filled_batches(
        network,
        lambda part: hide(colours[touched[part]], masks[touched[part]]),
        lambda part: holes(masks[touched[part]], network.size),
        fidelity_per_face(fidelity, len(crops))[touched],
        adain,
        runtime,
    ):
        places = touched[batch.part]
        filled = resize(batch.crops, *crops.shape[1:3])
        result[places, ..., :3] = composite(colours[places], filled, masks[places])
        failed += [touched[place] for place in batch.failed]
    result[failed], reached[failed] = crops[failed], 0.0
    notes = notes_on(network, sides_of(crops), failed, variant=VARIANT)
    return PaintedPictures(result, reached, notes)


def _fill_pictures(
    network: Restorer,
    images: Tensor,
    faces: Faces,
    masks: Tensor,
    fidelity: Fidelity,
    adain: bool | None,
    runtime: Runtime,
) -> PaintedPictures:
    colours = images[..., :3]
    check_frames(colours, faces)
    masks = fitting_masks(masks, colours)
    hidden, canvas = hide(colours, masks), Canvas(colours.clone(), PasteOptions(feather=FEATHER))
    hidden_parts = dict(_holes_in_crops(masks, faces, network.size))
    touched, failed = list(hidden_parts), list[int]()
    wanted = faces.take(touched)
    for batch in _filled_batches(
        network,
        crops_of(hidden, wanted, network.size),
        lambda part: torch.stack([hidden_parts[place] for place in touched[part]]),
        fidelity_per_face(fidelity, faces.count)[touched],
        adain,
        runtime,
    ):
        filled = batch.sound_crops
        canvas.paste(filled, wanted.take(batch.sound), torch.ones(filled.shape[:3]))
        failed += [touched[place] for place in batch.failed]
    return PaintedPictures(
        with_opacity(composite(colours, canvas.frames, masks), images),
        masks * canvas.mask,
        notes_on(network, sides_of(images, faces), failed, variant=VARIANT),
    )


def _filled_batches(
    network: Restorer,
    crops: Part,
    holes: Part,
    fidelity: Tensor,
    adain: bool | None,
    runtime: Runtime,
) -> Iterator[Batch]:
    """Fill `crops`, which are white where they have holes: (n, S, S) bool."""
    count = len(fidelity)
    if network.variant == VARIANT:
        return restored_batches(network, crops, fidelity, count, adain=adain, runtime=runtime)
    device = runtime.device(network)

    def without_white(part: slice) -> Tensor:
        return surroundings(resize(crops(part).float(), network.size, network.size), holes(part))

    def generate(part: slice, inputs: Tensor) -> Generated:
        seen, hidden = inputs.clamp(0, 1).to(device), holes(part).to(device)
        guess = with_mean_face(seen, hidden)
        for _ in range(SKETCHES):
            sketch = from_network(network(to_network(guess), 0.0, adain))
            guess = torch.where(hidden[..., None], sketch.to(seen), seen)
        drawn = network(to_network(guess), shortest(fidelity[part]), adain)
        return Generated(torch.lerp(to_network(seen).to(drawn), drawn, depth(hidden).to(drawn)))

    return finished_batches(
        network, without_white, generate, count, keep_gray=True, runtime=runtime
    )


def fitting_masks(masks: Tensor, images: Tensor) -> Tensor:
    """Bring masks to the number and size of pictures: (B, H, W) float32 in 0..1, NaN as 0.

    Args:
        masks: (B, h, w), (1, h, w) or (h, w).
        images: (B, H, W, C).

    Raises:
        PictureError: neither one mask nor as many as pictures, or masks of another shape.
    """
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3 or 0 in masks.shape[1:]:
        raise PictureError(
            f"masks of shape (masks, height, width) are needed, not {tuple(masks.shape)}"
        )
    if len(masks) not in (1, len(images)):
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
    below, above = images[block], filled[block].to(images)
    share = masks[block][..., None].to(images)
    sound = torch.where(below.isfinite(), below, above)
    # What nothing was put into stays: between two infinities there is no number.
    changed = (share > 0) & (above != below)
    result[block] = torch.where(changed, torch.lerp(sound, above, share), below)
    return result


def _reach(line: Tensor) -> slice:
    """From the first to the last place that is true."""
    places = line.nonzero().flatten().tolist()
    return slice(places[0], places[-1] + 1) if places else slice(0, 0)


def holes(masks: Tensor, size: int) -> Tensor:
    """(n, size, size) bool: which pixels of resized crops show anything hidden.

    Bicubic weights are negative beside a hole: what is hidden would darken those pixels.
    """
    return interpolate((masks > HIDDEN).float()[..., None], size, size)[..., 0].abs() > HIDDEN


def _holes_in_crops(masks: Tensor, faces: Faces, size: int) -> Iterator[tuple[int, Tensor]]:
    """The same of the crops of each face of pictures that is hidden somewhere: (size, size) bool.

    What lies outside of the picture is not known either: its gray is none of the face's colours.

    Yields:
        The face's place, and its hole.
    """
    for place, (frame, face) in enumerate(faces.in_frames()):
        hidden = (masks[frame] > HIDDEN).float()[..., None]
        to_picture = placement_in(masks[..., None], face).rescaled(size).inverse
        inside, hole = (
            warp(hidden, to_picture, size, size, border=(beyond,))[..., 0] > HIDDEN
            for beyond in (0.0, 1.0)
        )
        if bool(inside.any()):
            yield place, hole
