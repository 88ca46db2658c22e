"""Cut aligned face crops out of pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import PictureError, SettingError
from .types import Face, Faces, Placement
from .warp import warp

BORDER_COLOUR = (132 / 255, 133 / 255, 135 / 255)
"""RGB of what lies outside the picture: the gray that the published model was trained beside."""


def crop_faces(images: Tensor, faces: Faces, size: int) -> Tensor:
    """Return the aligned crop of every face, frame by frame.

    A face larger than its crop is shrunk by averaging over areas, so nothing aliases. Values that
    are not finite become mid-gray (NaN), 0 or 1 (infinities).

    Args:
        images: (B, H, W, 3) float frames, RGB; of the detected size or a resized copy of it.
        faces: the faces of these frames.
        size: side of the crops in pixels.

    Returns:
        (N, size, size, 3) float32, N = ``faces.count``; no face gives an empty batch.

    Raises:
        PictureError: the frames do not belong to these faces.
        SettingError: the size is not positive.
    """
    if size < 1:
        raise SettingError(f"crop size is {size}: it must be at least 1 pixel")
    check_frames(images, faces)
    crops = images.new_empty((faces.count, size, size, 3), dtype=torch.float32)
    for crop, (frame, face) in zip(crops, faces.in_frames(), strict=True):
        crop.copy_(crop_face(images[frame], placement_in(images, face).rescaled(size)))
    return crops


def crop_face(image: Tensor, placement: Placement) -> Tensor:
    """Return one aligned crop.

    Args:
        image: (H, W, 3) float, RGB, of the placement's picture size.
        placement: where the crop lies.

    Returns:
        (S, S, 3) float32 with S = ``placement.crop_size``.
    """
    size = placement.crop_size
    return warp(image, placement.inverse, size, size, border=BORDER_COLOUR)


def placement_in(images: Tensor, face: Face) -> Placement:
    """Return the placement of a face in these frames, which may be a resized copy."""
    height, width = images.shape[1:3]
    return face.placement.in_upscaled_picture(height, width)


LARGEST_STRETCH = 0.05
"""By which the shape of a resized copy may differ: some nodes round sides to multiples of 8."""


def check_frames(images: Tensor, faces: Faces) -> None:
    """Raise unless the frames can be those in which the faces were found, or resized copies.

    Raises:
        PictureError: not a (B, H, W, 3) batch, another number of frames, or of another shape.
    """
    if images.ndim != 4 or images.shape[-1] != 3:
        raise PictureError(
            f"a batch of RGB pictures (frames, height, width, 3) is needed, "
            f"not one of shape {tuple(images.shape)}"
        )
    if images.shape[0] != len(faces):
        raise PictureError(
            f"the faces were found in {len(faces)} frames, but there are {images.shape[0]} "
            "pictures: detect the faces in the same batch that is cropped or pasted"
        )
    if not images.is_floating_point():
        raise PictureError(
            f"pictures must hold float values from 0 to 1, not {images.dtype}: divide by 255"
        )
    height, width = images.shape[1:3]
    if abs(width * faces.height / (height * faces.width) - 1) > LARGEST_STRETCH:
        raise PictureError(
            f"the faces were found in pictures of {faces.width} x {faces.height} pixels, but these "
            f"have {width} x {height}, which is another shape: connect the picture in which they "
            "were found, or a copy of it that is not cropped or stretched"
        )
