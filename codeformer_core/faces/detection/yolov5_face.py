"""Face detection with YOLOv5-face, from the published files of CodeFormer and facerestore_cf.

Source: Qi et al. 2021, "YOLO5Face: Why Reinventing a Face Detector".
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor

from ...checkpoints.building import Target, filled, has_keys
from ...checkpoints.reader import State, WeightFile
from ...errors import CheckpointError
from ...networks.yolo_face import STRIDES, VALUES, YoloFace, YoloFaceConfig
from .base import DEFAULT_CONFIDENCE, Finding
from .detector import NetworkDetector
from .retinaface import Predictions, strongest

FITS = has_keys("model.0.stem_1.", "model.0.stem_3.", "model.1.")
"""Whether a file is one of it."""
BORDER = 114 / 255
"""Gray of what is added to make sides multiples of the largest stride."""
PUBLISHED_CONFIDENCE = 0.7
"""The threshold it is published with, which counts as `DEFAULT_CONFIDENCE` here."""


class YoloFaceDetector(NetworkDetector):
    """Finds faces with a YOLOv5-face network."""

    network: YoloFace

    def __init__(self, network: YoloFace, name: str = "yolov5-face") -> None:
        """Wrap a network built by `build_yolov5_face`."""
        super().__init__(network, name)

    def look(self, pictures: Tensor, confidence: float) -> list[list[Finding]]:
        """Find the faces of each picture; see `NetworkDetector.look`."""
        dtype = next(self.network.parameters()).dtype
        outputs = [each.float() for each in self.network(padded(pictures).to(dtype))]
        anchors = self.network.head.anchor_grid.float()
        grids = [decode(*grid) for grid in zip(outputs, anchors, STRIDES, strict=True)]
        whole = (torch.cat(parts, 1) for parts in zip(*grids, strict=True))
        return [strongest(Predictions(*each), confidence) for each in zip(*whole, strict=True)]


def padded(pictures: Tensor) -> Tensor:
    """(B, 3, h, w) with gray at the right and at the bottom, up to multiples of 32 pixels."""
    down, across = (-side % STRIDES[-1] for side in pictures.shape[-2:])
    return functional.pad(pictures, (0, across, 0, down), value=BORDER)


def decode(output: Tensor, anchors: Tensor, stride: int) -> Predictions:
    """Turn one grid of the network into pixels.

    Args:
        output: (B, 3, h, w, 16).
        anchors: (1, 3, 1, 1, 2) width and height in pixels.
        stride: pixels of a cell.

    Returns:
        (B, 3 * h * w, ...) of each kind; scores are scaled to `DEFAULT_CONFIDENCE`.
    """
    rows, columns = output.shape[2:4]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    cells = torch.stack((x, y), -1).to(output)  # (h, w, 2)
    inside, points = output[..., :5].sigmoid(), output[..., 5:15]
    centres = (inside[..., :2] * 2 - 0.5 + cells) * stride
    half = (inside[..., 2:4] * 2) ** 2 * anchors / 2
    scores = inside[..., 4] * output[..., 15].sigmoid()
    corner = (cells * stride).unsqueeze(-2)  # points are told from the cell's corner
    landmarks = points.unflatten(-1, (5, 2)) * anchors.unsqueeze(-2) + corner
    boxes = torch.cat((centres - half, centres + half), -1)
    return Predictions(boxes.flatten(1, 3), _scaled(scores).flatten(1, 3), landmarks.flatten(1, 3))


def _scaled(scores: Tensor) -> Tensor:
    """Scores with the published threshold at our default, on straight lines to 0 and 1."""
    low = scores * (DEFAULT_CONFIDENCE / PUBLISHED_CONFIDENCE)
    high = 1 - (1 - scores) * (1 - DEFAULT_CONFIDENCE) / (1 - PUBLISHED_CONFIDENCE)
    return torch.where(scores < PUBLISHED_CONFIDENCE, low, high)


# ------------------------------------------------------------------------------------ from a file


def build_yolov5_face(file: WeightFile, target: Target) -> YoloFaceDetector:
    """Build the detector of a file, in float32 unless told otherwise.

    Raises:
        CheckpointError: the tensors are not those of a YOLOv5-face.
    """
    with torch.device("meta"):  # a false file may claim sizes that no machine holds
        network = YoloFace(config_of(file.state))
    network = filled(network, file.state, target).to(target.dtype or torch.float32)
    return YoloFaceDetector(network)


def config_of(state: State) -> YoloFaceConfig:
    """Sizes of the network that a state dict belongs to.

    Raises:
        CheckpointError: it is of another layout, such as one for faces of more than three grids.
    """
    shuffled = "model.1.branch2.0.weight" in state
    stages = (1, 3, 5) if shuffled else (1, 3, 5, 8)
    start = 7 if shuffled else 9
    try:
        if shuffled:
            widths = tuple(2 * len(state[f"model.{index}.branch2.5.weight"]) for index in stages)
            depths = tuple(_units(state, index + 1) for index in stages)
        else:
            widths = tuple(len(state[f"model.{index}.cv3.conv.weight"]) for index in stages)
            depths = tuple(_count(state, f"model.{index}.m") for index in stages)
        neck = tuple(_join(state, start + at, start + after) for at, after in JOINS)
        last = state[f"model.{start + 14}.m.0.weight"]
        stem = len(state["model.0.stem_1.conv.weight"])
    except KeyError as error:
        raise CheckpointError(
            f"{error} is missing: it is not YOLOv5l-face or YOLOv5n-face"
        ) from error
    if len(last) != 3 * VALUES:
        raise CheckpointError(f"it gives {len(last)} values a cell instead of {3 * VALUES}")
    return YoloFaceConfig(stem, widths, depths, shuffled, neck)


JOINS = ((0, 3), (4, 7), (8, 10), (11, 13))
"""Layers before and after the joins of the neck, numbered from its start."""


def _join(state: State, before: int, after: int) -> tuple[int, int, int]:
    entering = len(state[f"model.{before}.conv.weight"])
    leaving = len(state[f"model.{after}.cv3.conv.weight"])
    return entering, leaving, _count(state, f"model.{after}.m")


def _units(state: State, layer: int) -> int:
    """Units of a layer, which are numbered unless there is one alone."""
    return _count(state, f"model.{layer}") or 1


def _count(state: State, prefix: str) -> int:
    """Parts numbered from 0 after a prefix."""
    parts = {
        key[len(prefix) + 1 :].partition(".")[0] for key in state if key.startswith(f"{prefix}.")
    }
    return sum(part.isdigit() for part in parts)
