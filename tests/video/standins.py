"""Stand-ins for networks: what they do is seen at once in a result."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from codeformer_core.errors import PictureError
from codeformer_core.faces import TEMPLATE, Box, Face, Faces, Landmarks, place
from codeformer_core.faces.types import TEMPLATE_SIZE
from codeformer_core.pipeline.automatic import LADDER, best_steps
from tests.video.clips import MARKER

FACE_SHARE = 0.5
"""Side of a marker as a share of the aligned crop's."""


class MarkerDetector:
    """Takes every square of the marker's colour for a face."""

    name = "marker"

    def detect(
        self, frames: Tensor, *, confidence=0.8, min_size=16.0, search_size=None, runtime=None
    ) -> Faces:
        height, width = frames.shape[1:3]
        return Faces(tuple(tuple(_faces(frame)) for frame in frames), height, width)


def _faces(frame: Tensor) -> list[Face]:
    colour = torch.tensor(MARKER) / 255
    marked = ((frame - colour).abs() < 0.25).all(-1)
    columns = marked.any(0).nonzero().flatten().tolist()
    found: list[Face] = []
    while columns:
        left = right = columns.pop(0)
        while columns and columns[0] == right + 1:
            right = columns.pop(0)
        rows = marked[:, left : right + 1].any(1).nonzero().flatten()
        found += _face(left, int(rows[0]), right, int(rows[-1]), frame.shape[0], frame.shape[1])
    return found


def _face(left: int, top: int, right: int, bottom: int, height: int, width: int) -> list[Face]:
    side = max(right - left, bottom - top) + 1
    if side < 6:
        return []
    scale = side / (FACE_SHARE * TEMPLATE_SIZE)
    x, y = (left + right) / 2, (top + bottom) / 2
    middle = (TEMPLATE_SIZE - 1) / 2
    landmarks = Landmarks(
        *((x + (a - middle) * scale, y + (b - middle) * scale) for a, b in TEMPLATE.points)
    )
    try:
        placement = place(landmarks, TEMPLATE_SIZE, height, width)
    except PictureError:
        return []
    return [Face(Box(left, top, right + 1, bottom + 1), 0.95, landmarks, placement)]


class Painted(nn.Module):
    """A restorer of 32 px that does something plain to every crop."""

    size = 32
    variant = "restoration"
    bytes_per_face = 1e6
    notice = None

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.change = change
        self.calls = 0

    def forward(self, crops: Tensor, fidelity=0.5, adain=None, /) -> Tensor:
        self.calls += len(crops)
        return self.change(crops)


class Weighed(Painted):
    """Restores nothing, and remembers at which fidelities it was asked to."""

    def __init__(self) -> None:
        super().__init__(lambda crops: crops)
        self.asked: list[float] = []

    def forward(self, crops: Tensor, fidelity=0.5, adain=None, /) -> Tensor:
        self.asked += [round(float(each), 3) for each in torch.as_tensor(fidelity).reshape(-1)]
        return super().forward(crops, fidelity, adain)


USUAL = LADDER[int(best_steps(torch.zeros(1, len(LADDER))))]
"""The automatic fidelity of a face that keeps its person at all of them."""


class ByColour(nn.Module):
    """Takes the mean colour of a face for what tells people apart."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def embed(self, crops: Tensor) -> Tensor:
        return crops.mean((1, 2)).repeat(1, 43)[:, :128] / 42**0.5

    def bytes_per_pair(self, height: int, width: int) -> float:
        return 1.0
