"""Face detection with RetinaFace, on the networks of the package facexlib.

Source: Deng et al. 2020, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild".
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...checkpoints.building import Target, filled, has_keys
from ...checkpoints.reader import WeightFile
from ...packages import needed_for
from ..types import Box, Landmarks
from .base import Finding
from .detector import NetworkDetector

STRIDES = (8, 16, 32)
ANCHOR_SIDES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))
"""Sides in pixels of the two square anchors at every cell of each stride's grid."""

CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
"""How the network's offsets are scaled (section 3.2 there, after SSD)."""

CHANNEL_MEANS_BGR = (104.0, 117.0, 123.0)
LARGEST_OVERLAP = 0.4

MOST_CANDIDATES = 5000
"""Anchors kept for suppression: noise pictures must not make it quadratic in all anchors."""

_HEADS = ("fpn.", "ssh1.", "ClassHead.", "LandmarkHead.")
FITS = {
    "resnet50": has_keys("body.conv1.", "body.layer4.", *_HEADS),
    "mobile0.25": has_keys("body.stage1.", *_HEADS),
}
"""Whether a file is one of it, by backbone."""


def build_retinaface(file: WeightFile, target: Target, *, backbone: str) -> RetinaFaceDetector:
    """Build the detector of a file.

    Args:
        file: published keys.
        target: how it is wanted.
        backbone: resnet50 or mobile0.25.

    Returns:
        The detector; its network is in eval mode, without gradients.

    Raises:
        MissingModelError: facexlib is not installed.
        CheckpointError: the tensors are not those of a RetinaFace.
    """
    network = filled(_empty_network(backbone), file.state, target)
    return RetinaFaceDetector(network, f"retinaface_{backbone}")


def _empty_network(backbone: str) -> nn.Module:
    with needed_for("RetinaFace", "facexlib", "choose another detector"), warnings.catch_warnings():
        # facexlib builds its ResNet with an argument that torchvision calls deprecated.
        warnings.simplefilter("ignore")
        from facexlib.detection.retinaface import RetinaFace

        return RetinaFace(network_name=backbone, device=torch.device("cpu"))


class RetinaFaceDetector(NetworkDetector):
    """Finds faces with a RetinaFace network.

    That takes (B, 3, H, W) BGR 0..255 minus the channel means and gives offsets of boxes, class
    probabilities and offsets of landmarks.
    """

    def __init__(self, network: nn.Module, name: str = "retinaface") -> None:
        """Wrap a network built by ``build_retinaface``."""
        super().__init__(network, name)

    def look(self, pictures: Tensor, confidence: float) -> list[list[Finding]]:
        """Find the faces of each picture; see `NetworkDetector.look`."""
        means = torch.tensor(CHANNEL_MEANS_BGR, device=pictures.device).view(1, 3, 1, 1)
        bgr = pictures.flip(1) * 255.0 - means
        outputs: Any = self.network(bgr.to(next(self.network.parameters()).dtype))
        anchors = anchor_grid(bgr.shape[-2], bgr.shape[-1], bgr.device)
        parts = zip(*(output.float() for output in outputs), strict=True)
        return [strongest(decode(anchors, *each), confidence) for each in parts]


class Predictions(NamedTuple):
    """What the network says at every anchor, decoded to pixels of the working copy.

    Attributes:
        boxes: (A, 4) left, top, right, bottom.
        scores: (A,) probability of a face.
        landmarks: (A, 5, 2) x and y in the order of the template.
    """

    boxes: Tensor
    scores: Tensor
    landmarks: Tensor


def anchor_grid(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return all anchors of a picture as (A, 3): centre x, centre y, side, in pixels.

    They come in the network's order: stride by stride, row by row, both sides at every cell.
    """
    anchors: list[Tensor] = []
    for stride, sides in zip(STRIDES, ANCHOR_SIDES, strict=True):
        rows = torch.arange(-(-height // stride), device=device, dtype=torch.float32)
        columns = torch.arange(-(-width // stride), device=device, dtype=torch.float32)
        y, x, side = torch.meshgrid(
            (rows + 0.5) * stride,
            (columns + 0.5) * stride,
            torch.tensor(sides, device=device),
            indexing="ij",
        )
        anchors.append(torch.stack((x, y, side), dim=-1).reshape(-1, 3))
    return torch.cat(anchors)


def decode(
    anchors: Tensor, offsets: Tensor, probabilities: Tensor, landmarks: Tensor
) -> Predictions:
    """Turn the network's relative outputs into pixels.

    Args:
        anchors: (A, 3) from ``anchor_grid``.
        offsets: (A, 4) centre offsets and log sizes.
        probabilities: (A, 2) background and face.
        landmarks: (A, 10) offsets of the five points.
    """
    centres, sides = anchors[:, :2], anchors[:, 2:]
    middle = centres + offsets[:, :2] * CENTRE_VARIANCE * sides
    half = 0.5 * sides * torch.exp(offsets[:, 2:] * SIZE_VARIANCE)
    points = landmarks.view(-1, 5, 2) * CENTRE_VARIANCE * sides.unsqueeze(-1)
    return Predictions(
        boxes=torch.cat((middle - half, middle + half), dim=-1),
        scores=probabilities[:, 1],
        landmarks=points + centres.unsqueeze(1),
    )


def strongest(predictions: Predictions, confidence: float) -> list[Finding]:
    """Keep the best of every group of overlapping boxes, best first (non-maximum suppression)."""
    candidates = torch.nonzero(predictions.scores > confidence).flatten()
    order = predictions.scores[candidates].argsort(descending=True)[:MOST_CANDIDATES]
    candidates = candidates[order]
    # Few candidates are left: the rest is cheaper on the CPU than as many small device calls.
    boxes = predictions.boxes[candidates].cpu()
    scores = predictions.scores[candidates].cpu()
    landmarks = predictions.landmarks[candidates].cpu()
    kept = nms(boxes, LARGEST_OVERLAP)
    return [
        Finding(Box(*boxes[i].tolist()), float(scores[i]), _landmarks(landmarks[i])) for i in kept
    ]


def nms(boxes: Tensor, largest_overlap: float) -> list[int]:
    """Return the indices of boxes that overlap no earlier kept box by more than a share.

    Args:
        boxes: (K, 4) left, top, right, bottom, best first.
        largest_overlap: intersection over union above which the later box goes.
    """
    kept: list[int] = []
    remaining = torch.arange(boxes.shape[0])
    while remaining.numel() > 0:
        best = int(remaining[0])
        kept.append(best)
        overlaps = _overlaps(boxes[best], boxes[remaining])
        overlaps[0] = torch.inf  # the kept box itself goes even if it has no area
        remaining = remaining[overlaps <= largest_overlap]
    return kept


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of one box with each of several."""
    low = torch.maximum(box[:2], others[:, :2])
    high = torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = (others[:, 2:] - others[:, :2]).prod(dim=-1)
    union = (box[2:] - box[:2]).prod() + areas - shared
    return torch.nan_to_num(shared / union, nan=0.0)


def _landmarks(points: Tensor) -> Landmarks:
    pairs = [(float(x), float(y)) for x, y in points.tolist()]
    return Landmarks(*pairs)
