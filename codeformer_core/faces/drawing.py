"""Pictures of what was found: numbered boxes over the frames."""

from __future__ import annotations

import colorsys
from typing import Any

import torch
from torch import Tensor

from .crop import check_frames
from .types import Face, Faces

GOLDEN_RATIO = 0.618


def draw_faces(
    images: Tensor, faces: Faces, *, first_number: int = 1, by_track: bool = False
) -> Tensor:
    """Return the frames with a numbered box and five points on every face.

    Numbers run over all frames in the order of the crops, so they are the indices to select by.

    Args:
        images: (B, H, W, 3) float frames, RGB, of the size in which the faces were found.
        faces: the faces of these frames.
        first_number: number of the first face.
        by_track: number tracked faces by their person instead.

    Returns:
        (B, H, W, 3) like ``images``; pixels without a drawing are the same.

    Raises:
        PictureError: the frames do not belong to these faces.
    """
    check_frames(images, faces)
    result = images.clone()
    number = first_number
    for index, frame in enumerate(faces.frames):
        if frame:
            tracks = (face.track if by_track else None for face in frame)
            numbers = [track or place for place, track in enumerate(tracks, number)]
            result[index] = _with_drawing(images[index], frame, numbers)
            number += len(frame)
    return result


def _with_drawing(image: Tensor, faces: tuple[Face, ...], numbers: list[int]) -> Tensor:
    import numpy
    from PIL import Image, ImageDraw

    height, width = image.shape[:2]
    sheet = Image.new("RGBA", (width, height))
    pencil = ImageDraw.Draw(sheet)
    for number, face in zip(numbers, faces, strict=True):
        _draw_face(pencil, face, number, max(2, round(min(height, width) / 350)))
    drawing = torch.from_numpy(numpy.array(sheet, dtype=numpy.float32)) / 255.0
    drawing = drawing.to(image)
    drawn = drawing[..., 3:]
    blended = torch.lerp(image, drawing[..., :3], drawn)
    return torch.where(drawn > 0.0, blended, image)


def _draw_face(pencil: Any, face: Face, number: int, line: int) -> None:
    from PIL import ImageFont

    hue = (number * GOLDEN_RATIO) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    colour = (round(red * 255), round(green * 255), round(blue * 255), 255)
    box = face.box
    pencil.rectangle(
        (box.left, box.top, box.left + box.width, box.top + box.height), outline=colour, width=line
    )
    for x, y in face.landmarks.points:
        pencil.ellipse((x - line, y - line, x + line, y + line), fill=colour)
    font = ImageFont.load_default(max(14, line * 9))
    text = str(number)
    # Above the box, so that it hides nothing of a small face; inside where the picture ends.
    place, anchor = ((box.left, box.top), "lb")
    if pencil.textbbox(place, text, font=font, anchor=anchor)[1] < 0:
        place, anchor = ((box.left + line, box.top + line), "lt")
    pencil.rectangle(pencil.textbbox(place, text, font=font, anchor=anchor), fill=colour)
    pencil.text(place, text, fill=(0, 0, 0, 255), font=font, anchor=anchor)
