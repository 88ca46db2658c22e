"""Say which faces are larger than the model's crops: what is finer than those is lost."""

from collections.abc import Sequence

from torch import Tensor

from ..faces import Faces
from ..faces.crop import placement_in

LARGEST_FACE = 1.25
"""A face this many times larger than the model's crops is visibly softened by them."""


def large_face_notes(sides: Sequence[float], size: int) -> tuple[str, ...]:
    """What the user should know about faces that a model softens: a note with a remedy, or none.

    Args:
        sides: of all faces' aligned squares, in pixels of the picture or the crop they come from.
        size: side of the model's crops in pixels.
    """
    large = [side for side in sides if side > LARGEST_FACE * size]
    if not large:
        return ()
    remedy = (
        "use a model for larger faces, such as codeformer.pth (512 px)"
        if size < 512
        else "make the picture smaller before restoring it"
    )
    whose = "the face is" if len(sides) == 1 else f"{len(large)} of {len(sides)} faces are"
    return (
        f"{whose} larger than the model's {size} px (up to {max(large):.0f} px) and may get "
        f"softer: {remedy}",
    )


def sides_of(images: Tensor, faces: Faces | None) -> list[float]:
    """Sides of the faces' aligned squares in pixels, for `large_face_notes`.

    Args:
        images: (B, H, W, C) pictures, or aligned crops if there are no `faces`.
        faces: the faces of the pictures.
    """
    if faces is None:
        return [float(images.shape[1])] * len(images)
    return [placement_in(images, face).face_size for face in faces]
