"""What the browser part shows inside the nodes: pictures, and the faces on them as data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import host

if TYPE_CHECKING:
    from torch import Tensor

    from ..codeformer_core.faces import Face, Faces

SHOWN = "codeformer_frames"
"""Key of a node's `ui` under which the browser part finds the frames."""

STEPS = "codeformer_strip"
"""The same for the results of a sweep."""

MOST_FACES = 4
"""Faces of a sweep that are shown, one below the other."""

MOST_FRAMES = 32
"""Frames of a batch that are shown with their pictures; of the others only the boxes are."""

DRAWN_FRAMES = 8
"""Frames of a batch that are shown with drawings on them."""

MOST_PIXELS = 64_000_000
"""Of all these pictures together: a long batch of large frames would take seconds to save."""

LARGEST = 16_000_000
"""Pixels of one shown picture; a larger one is shown reduced, or a browser on it would crawl."""

QUALITY = 92
"""Of the JPEG files; with full colour resolution no difference shows at 1:1."""


def shown_frames(
    pictures: Tensor | None,
    faces: Faces,
    chosen: set[int] | None = None,
    *,
    before: Tensor | None = None,
) -> list[dict[str, Any]]:
    """Save the first frames for the browser and describe the faces of all.

    Args:
        pictures: (B, H, W, 3 or 4), RGB in 0..1, of any size; None shows the boxes alone.
        faces: the faces of these frames; boxes are given relative to the frame.
        chosen: places of those of them that the node took, counted from 0; None means all.
        before: (B, h, w, 3 or 4), the same frames to compare with.

    Returns:
        For each frame `frame`, `frames` (in the batch), `width` and `height` as shown, of the first
        ones `picture` and `before` (as the host's /view takes them) where there are any, and
        `faces`: `number` from 1 over all frames, `box` as left, top, right, bottom in 0..1,
        `score`, `size` in pixels of the frame the face was found in, `chosen`.
    """
    height, width = (faces.height, faces.width) if pictures is None else pictures.shape[1:3]
    width, height = _shown_size(width, height)
    budget = MOST_PIXELS // (height * width * (1 if before is None else 2))
    count = max(1, min(MOST_FRAMES, budget))
    frames: list[dict[str, Any]] = []
    flat = enumerate(faces)
    for index, found in enumerate(faces.frames):
        entry: dict[str, Any] = {"frame": index, "frames": len(faces), "width": width}
        entry["height"] = height
        if pictures is not None and index < count:
            entry["picture"] = _saved(pictures[index])
        if before is not None and index < count:
            entry["before"] = _saved(before[index])
        entry["faces"] = [
            {**_described(face, place + 1, faces), "chosen": chosen is None or place in chosen}
            for place, face in islice(flat, len(found))
        ]
        frames.append(entry)
    return frames


def drawn_frames(frames: Tensor, faces: Faces, *, by_track: bool = False) -> list[dict[str, str]]:
    """Save the first frames with numbered boxes, as entries of a node's `images`.

    Args:
        frames: (B, H, W, 3), RGB in 0..1, of any size.
        faces: the faces of these frames.
        by_track: number them by person, not by place.

    Raises:
        PictureError: the faces are not those of these frames.
    """
    from ..codeformer_core.faces.crop import check_frames
    from ..codeformer_core.faces.drawing import draw_faces
    from ..codeformer_core.images import resize

    check_frames(frames, faces)
    first = dataclasses.replace(faces, frames=faces.frames[:DRAWN_FRAMES])
    seen = resize(frames[:DRAWN_FRAMES], faces.height, faces.width)
    drawn = draw_faces(seen, first, by_track=by_track)
    return [_saved(frame) for frame in drawn]


def saved_frames(pictures: Tensor) -> list[dict[str, str]]:
    """Save (N, H, W, 3) as entries of a node's `images`."""
    return [_saved(picture) for picture in pictures]


def shown_steps(faces: Tensor, fidelities: Sequence[float]) -> list[dict[str, Any]]:
    """Save what each fidelity gives, for the browser.

    Args:
        faces: (N * M, S, S, 3): all M fidelities of the first face, then those of the next.
        fidelities: M numbers.

    Returns:
        For each fidelity `fidelity` and `picture`, the first faces below each other.
    """
    count = len(fidelities)
    if not len(faces):
        return []
    columns = (faces[place::count][:MOST_FACES].flatten(0, 1) for place in range(count))
    return [
        {"fidelity": fidelity, "picture": _saved(column)}
        for fidelity, column in zip(fidelities, columns, strict=True)
    ]


def _described(face: Face, number: int, faces: Faces) -> dict[str, Any]:
    box, width, height = face.box, faces.width, faces.height
    return {
        "number": number,
        "box": [box.left / width, box.top / height, box.right / width, box.bottom / height],
        "score": face.score,
        "size": round(box.size),
    }


def _saved(frame: Tensor) -> dict[str, str]:
    """Write (H, W, 3 or 4) among the host's previews."""
    from PIL import Image

    pixels = frame[..., :3].detach().float().mul(255).nan_to_num().round().clamp(0, 255)
    picture = Image.fromarray(pixels.byte().cpu().numpy())
    size = _shown_size(*picture.size)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    path, entry = host.preview_file(".jpg")
    picture.save(path, quality=QUALITY, subsampling=0)
    return entry


def _shown_size(width: int, height: int) -> tuple[int, int]:
    """The size itself, or the largest of the same shape that is shown."""
    scale = min(1, math.sqrt(LARGEST / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))
