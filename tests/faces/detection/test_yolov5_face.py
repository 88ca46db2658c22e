"""YOLOv5-face: the published layout, and the network of its authors with random weights."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.checkpoints.building import Target
from codeformer_core.checkpoints.reader import State, WeightFile
from codeformer_core.errors import CheckpointError
from codeformer_core.faces.detection import search
from codeformer_core.faces.detection.yolov5_face import (
    BORDER,
    YoloFaceDetector,
    build_yolov5_face,
    config_of,
    decode,
    padded,
)
from codeformer_core.models import load_detector
from codeformer_core.models.registry import recognise
from codeformer_core.networks.yolo_face import YoloFace, YoloFaceConfig
from codeformer_core.runtime import Runtime

PUBLISHED = {
    "yolov5l-face": YoloFaceConfig(
        stem=64,
        widths=(128, 256, 512, 1024),
        depths=(3, 9, 9, 3),
        shuffled=False,
        neck=((512, 512, 3), (256, 256, 3), (256, 512, 3), (512, 1024, 3)),
    ),
    "yolov5n-face": YoloFaceConfig(
        stem=32, widths=(128, 256, 512), depths=(3, 7, 3), shuffled=True, neck=((128, 128, 1),) * 4
    ),
}
COUNTS = {"yolov5l-face": (662, 46688609), "yolov5n-face": (500, 1745734)}
"""Tensors and numbers of the authors' networks, counted in them."""
SMALL = {
    "csp": YoloFaceConfig(8, (8, 8, 16, 16), (1, 2, 1, 1), False, ((8, 8, 1),) * 4),
    "shuffled": YoloFaceConfig(8, (8, 16, 16), (2, 1, 3), True, ((8, 8, 1),) * 4),
}
ANCHORS = torch.tensor(
    [
        [[4, 5], [8, 10], [13, 16]],
        [[23, 29], [43, 55], [73, 105]],
        [[146, 217], [231, 300], [335, 433]],
    ]
)


def _small(kind: str) -> YoloFace:
    torch.manual_seed(4)
    network = YoloFace(SMALL[kind])
    network.head.anchor_grid.copy_(ANCHORS.view(3, 1, 3, 1, 1, 2))
    _shake(network)
    return network


def _shake(network: nn.Module) -> None:
    """Make a random network answer differently everywhere: its norms fit a picture."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all pictures seen
        nn.init.normal_(norm.bias, std=0.3)
    with torch.no_grad():
        network.train()(_picture(160, 224).movedim(-1, 1))
    network.eval()


def _picture(height: int, width: int) -> Tensor:
    """(2, height, width, 3) of soft spots."""
    spots = torch.rand(2, 3, height // 8, width // 8, generator=torch.Generator().manual_seed(2))
    grown = nn.functional.interpolate(spots, (height, width), mode="bicubic")
    return grown.clamp(0, 1).movedim(1, -1)


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights find no faces: what they find is taken as it comes."""
    monkeypatch.setattr(search, "is_face", lambda finding: True)
    monkeypatch.setattr(search, "is_doubtful", lambda finding: False)
    monkeypatch.setattr(search, "without_repeats", list)
    monkeypatch.setattr(search, "_look_from_afar", lambda *arguments: None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_layouts_are_read_from_shapes(name: str) -> None:
    with torch.device("meta"):
        state = YoloFace(PUBLISHED[name]).state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == COUNTS[name]
    assert "model.0.stem_1.conv.weight" in state
    assert config_of(state) == PUBLISHED[name]
    assert recognise(WeightFile(state)).kind == "yolov5-face"


@pytest.mark.parametrize("kind", SMALL)
def test_a_file_finds_what_its_network_finds(kind: str, unjudged: None, tmp_path: Path) -> None:
    network = _small(kind)
    torch.save(network.half().state_dict(), tmp_path / "yolov5x-face.pth")  # as published
    detector = load_detector(tmp_path / "yolov5x-face.pth")
    assert isinstance(detector, YoloFaceDetector)
    assert config_of(dict(detector.network.state_dict())) == SMALL[kind]
    picture = _picture(70, 100)
    (best, *_) = sorted(_scores(detector, picture[0]), reverse=True)
    some = sorted(_scores(detector, picture[1]), reverse=True)[5:7]
    least = sum(some) / 2
    found = detector.detect(picture[:1], confidence=best - 1e-4, min_size=0, search_size=70)
    assert found.count >= 1
    assert best == pytest.approx(max(face.score for face in found))
    alone = detector.detect(
        picture[1:], confidence=least, min_size=0, search_size=70, runtime=Runtime(batch_size=1)
    )
    both = detector.detect(picture, confidence=least, min_size=0, search_size=70)
    scores = [[face.score for face in faces] for faces in (both.frames[1], alone.frames[0])]
    assert len(scores[0]) > 0
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def _scores(detector: YoloFaceDetector, picture: Tensor) -> list[float]:
    (findings,) = detector.look(picture.movedim(-1, 0)[None], 0.0)
    return [finding.score for finding in findings]


def test_the_score_is_faceness_times_class_and_points_are_sub_pixel() -> None:
    output = torch.zeros(1, 3, 2, 2, 16)
    output[0, 1, 1, 0, 4] = math.log(9)  # 0.9
    output[0, 1, 1, 0, 15] = math.log(4)  # 0.8
    output[0, 1, 1, 0, 5:15] = torch.tensor([0.1, 0.2, 0.9, 0.2, 0.5, 0.53, 0.2, 0.8, 0.81, 0.8])
    anchors = torch.tensor([[4.0, 5.0], [8.0, 10.0], [13.0, 16.0]]).view(1, 3, 1, 1, 2)
    predictions = decode(output, anchors, 8)
    best = 1 * 4 + 1 * 2 + 0  # the second anchor at the second row's first cell
    assert int(predictions.scores[0].argmax()) == best
    # 0.72 is a little over the published threshold of 0.7, which counts as 0.8.
    assert float(predictions.scores[0, best]) == pytest.approx(0.8 + 0.02 * 0.2 / 0.3)
    assert predictions.boxes[0, best].tolist() == pytest.approx([0.0, 7.0, 8.0, 17.0])
    points = predictions.landmarks[0, best]
    assert points[0].tolist() == pytest.approx([0.8, 10.0])
    assert points[2].tolist() == pytest.approx([4.0, 13.3])


def test_sides_are_filled_up_with_gray() -> None:
    grown = padded(torch.zeros(1, 3, 33, 64))
    assert grown.shape == (1, 3, 64, 64)
    assert grown[:, :, 33:].unique().tolist() == pytest.approx([BORDER])
    assert padded(grown) is not None and padded(grown).shape == grown.shape


def _changed(state: State, **changes: Any) -> State:
    named = {key.replace("__", "."): value for key, value in changes.items()}
    return {key: named.get(key, tensor) for key, tensor in state.items() if key not in named} | {
        key: value for key, value in named.items() if value is not None
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model__23__m__0__weight": None}, "model.23.m.0.weight.* is missing"),
        ({"model__23__m__0__weight": torch.zeros(18, 8, 1, 1)}, "18 values a cell instead of 48"),
        ({"model__23__m__1__bias": None}, "does not fit its network"),
        ({"model__0__stem_1__conv__weight": torch.zeros(99, 3, 3, 3)}, "does not fit its network"),
    ],
)
def test_other_layouts_are_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    state = _changed(dict(_small("csp").state_dict()), **changes)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=rf"odd\.pth: looks like a YOLOv5 .*{reason}"):
        load_detector(tmp_path / "odd.pth")


def test_sizes_no_machine_holds_are_refused_before_they_are_built() -> None:
    state = dict(_small("csp").state_dict())
    for layer in (1, 3, 5, 8):
        state[f"model.{layer}.cv3.conv.weight"] = torch.zeros(1 << 20, 1, 1, 1)
    with pytest.raises(CheckpointError, match="does not fit its network"):
        build_yolov5_face(WeightFile(state), Target())


# ---------------------------------------------------------------------- the authors' own network


@pytest.fixture
def authors(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`models.yolo` of deepcam-cn/yolov5-face (GPL-3.0), which runs beside ours."""
    folder = os.environ.get("CODEFORMER_TEST_YOLOV5_FACE")
    if not folder:
        pytest.skip("CODEFORMER_TEST_YOLOV5_FACE names no checkout of deepcam-cn/yolov5-face")
    pytest.importorskip("torchvision")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    for drawing in ("seaborn", "matplotlib", "matplotlib.pyplot", "pandas", "thop", "requests"):
        if drawing not in sys.modules:
            monkeypatch.setitem(sys.modules, drawing, MagicMock())
    monkeypatch.setitem(sys.modules, "utils.google_utils", MagicMock())
    import models.yolo  # type: ignore[import-not-found]

    yield models.yolo
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("models", "utils"):
            del sys.modules[name]


@pytest.mark.extended
@pytest.mark.parametrize("name", PUBLISHED)
def test_faces_are_those_of_the_authors(name: str, authors: Any, unjudged: None) -> None:
    from utils.general import non_max_suppression_face  # type: ignore[import-not-found]

    torch.manual_seed(0)
    folder = Path(os.environ["CODEFORMER_TEST_YOLOV5_FACE"])
    reference = authors.Model(str(folder / "models" / f"{name.removesuffix('-face')}.yaml")).eval()
    _shake(reference)
    for layer in reference.model[-1].m:
        nn.init.normal_(layer.weight, std=0.05)
        nn.init.normal_(layer.bias)
    state = {key: tensor.clone() for key, tensor in reference.state_dict().items()}
    detector = build_yolov5_face(WeightFile(state), Target())
    picture = _picture(160, 224)[0]
    with torch.no_grad():
        rows = reference(picture.movedim(-1, 0)[None])[0]
    best = (rows[0, :, 4] * rows[0, :, 15]).sort(descending=True).values
    threshold = float(best[40] + best[41]) / 2
    (expected,) = non_max_suppression_face(rows.clone(), threshold, 0.4)
    limit = threshold * 0.8 / 0.7 if threshold < 0.7 else 1 - (1 - threshold) * 0.2 / 0.3
    found = detector.detect(picture[None], confidence=limit, min_size=0, search_size=160)
    assert found.count == len(expected) > 3
    by_place = sorted(expected, key=lambda row: ((row[0] + row[2]) / 2, (row[1] + row[3]) / 2))
    for face, row in zip(found, by_place, strict=True):
        box = (face.box.left, face.box.top, face.box.right, face.box.bottom)
        assert box == pytest.approx(row[:4].tolist(), abs=0.02)
        points = [value for point in face.landmarks.points for value in point]
        assert points == pytest.approx(row[5:15].tolist(), abs=0.02)
