"""RetinaFace against facexlib's own decoding, with random weights."""

import os
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from codeformer_core.checkpoints.building import Target
from codeformer_core.checkpoints.reader import WeightFile
from codeformer_core.errors import CheckpointError, MissingModelError
from codeformer_core.faces import RetinaFaceDetector, build_retinaface
from codeformer_core.faces.detection import search
from codeformer_core.faces.detection.retinaface import anchor_grid, decode, nms
from codeformer_core.models import load_detector
from codeformer_core.runtime import Runtime

facexlib = pytest.importorskip("facexlib.detection.retinaface")


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    """Build facexlib's network with random weights that answer differently everywhere."""
    torch.manual_seed(5)
    network = facexlib.RetinaFace("mobile0.25", device=torch.device("cpu"))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.8, 1.6)
            module.bias.data.normal_(0.0, 0.3)
    return network.eval()


def _built(state: dict[str, torch.Tensor], backbone: str) -> RetinaFaceDetector:
    return build_retinaface(WeightFile(state), Target(), backbone=backbone)


@pytest.fixture(scope="module")
def detector(reference: nn.Module) -> RetinaFaceDetector:
    return _built(reference.state_dict(), "mobile0.25")


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    smooth = torch.rand(2, 3, 20, 26, generator=torch.Generator().manual_seed(2))
    return nn.functional.interpolate(smooth, (160, 208), mode="bicubic").clamp(0, 1).movedim(1, -1)


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights find no faces: what they find is taken as it comes."""
    monkeypatch.setattr(search, "is_face", lambda finding: True)
    monkeypatch.setattr(search, "is_doubtful", lambda finding: False)
    monkeypatch.setattr(search, "without_repeats", list)
    monkeypatch.setattr(search, "_look_from_afar", lambda *arguments: None)


def _confidence(reference: nn.Module, image: torch.Tensor, candidates: int) -> float:
    """A threshold that about so many anchors pass, between two scores."""
    means = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        scores = reference(image[None].movedim(-1, 1).flip(1) * 255 - means)[1][0, :, 1]
    best = scores.sort(descending=True).values
    return float(best[candidates - 1] + best[candidates]) / 2


def test_faces_are_those_of_facexlib(reference, detector, noise):
    confidence = _confidence(reference, noise[0], 60)
    bgr = (noise[0].flip(-1) * 255).numpy()
    with torch.no_grad():
        expected = torch.from_numpy(reference.detect_faces(bgr, conf_threshold=confidence))
    found = detector.detect(noise[:1], confidence=confidence, min_size=0, search_size=160)
    assert found.count == len(expected) > 1
    by_place = sorted(expected, key=lambda row: ((row[0] + row[2]) / 2, (row[1] + row[3]) / 2))
    for face, row in zip(found, by_place, strict=True):
        box = (face.box.left, face.box.top, face.box.right, face.box.bottom)
        assert box == pytest.approx(row[:4].tolist(), abs=0.02)
        assert face.score == pytest.approx(float(row[4]), abs=1e-5)
        points = [value for point in face.landmarks.points for value in point]
        assert points == pytest.approx(row[5:].tolist(), abs=0.02)


def test_anchors_are_those_of_facexlib():
    utilities = pytest.importorskip("facexlib.detection.retinaface_utils")
    for size in ((160, 208), (97, 131), (33, 8)):
        expected = utilities.PriorBox(facexlib.generate_config("mobile0.25"), size).forward()
        anchors = anchor_grid(*size)
        height, width = size
        assert torch.allclose(anchors[:, 0], expected[:, 0] * width, atol=1e-3)
        assert torch.allclose(anchors[:, 1], expected[:, 1] * height, atol=1e-3)
        assert torch.allclose(anchors[:, 2], expected[:, 2] * width, atol=1e-3)


def test_zero_offsets_decode_to_the_anchors():
    anchors = torch.tensor([[50.0, 40.0, 16.0]])
    predictions = decode(anchors, torch.zeros(1, 4), torch.tensor([[0.1, 0.9]]), torch.ones(1, 10))
    assert predictions.boxes.tolist() == [[42.0, 32.0, 58.0, 48.0]]
    assert predictions.scores.tolist() == pytest.approx([0.9])
    assert predictions.landmarks[0, 3].tolist() == pytest.approx([51.6, 41.6])


@pytest.mark.parametrize("seed", range(3))
def test_suppression_agrees_with_torchvision(seed):
    operations = pytest.importorskip("torchvision.ops")
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(200, 2, generator=generator) * 100
    boxes = torch.cat((corner, corner + torch.rand(200, 2, generator=generator) * 60), dim=1)
    expected = operations.nms(boxes, torch.linspace(1, 0, 200), 0.4).tolist()
    assert nms(boxes, 0.4) == expected


def test_boxes_without_area_do_not_hang_the_suppression():
    assert nms(torch.zeros(3, 4), 0.4) == [0, 1, 2]
    assert nms(torch.zeros(0, 4), 0.4) == []


def test_a_batch_equals_its_frames(reference, detector, noise):
    confidence = _confidence(reference, noise[0], 40)
    together = detector.detect(noise, confidence=confidence, search_size=160, min_size=0)
    for index in range(2):
        alone = detector.detect(
            noise[index : index + 1], confidence=confidence, search_size=160, min_size=0
        )
        assert len(together.frames[index]) == alone.count
        for one, other in zip(together.frames[index], alone, strict=True):
            assert one.landmarks.nose == pytest.approx(other.landmarks.nose, abs=1e-2)


def test_found_faces_follow_an_enlarged_picture(reference, detector, noise):
    confidence = _confidence(reference, noise[0], 40)
    twice = noise[:1].repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    small = detector.detect(noise[:1], confidence=confidence, search_size=160, min_size=0)
    large = detector.detect(twice, confidence=confidence, search_size=160, min_size=0)
    assert (large.height, large.width) == (320, 416)
    assert small.count == large.count > 0
    for one, other in zip(small, large, strict=True):
        x, y = one.landmarks.left_eye
        expected = ((x + 0.5) * 2 - 0.5, (y + 0.5) * 2 - 0.5)
        assert other.landmarks.left_eye == pytest.approx(expected, abs=0.3)


def test_min_size_leaves_small_faces_out(reference, detector, noise):
    confidence = _confidence(reference, noise[0], 60)
    everything = detector.detect(noise[:1], confidence=confidence, search_size=160, min_size=0)
    sizes = sorted(face.box.size for face in everything)
    limit = (sizes[0] + sizes[-1]) / 2
    kept = detector.detect(noise[:1], confidence=confidence, search_size=160, min_size=limit)
    assert 0 < kept.count < everything.count
    assert min(face.box.size for face in kept) >= limit


def _seen_shapes(detector, frames, **settings) -> list[torch.Size]:
    shapes: list[torch.Size] = []
    hook = detector.network.register_forward_pre_hook(
        lambda module, arguments: shapes.append(arguments[0].shape)
    )
    try:
        detector.detect(frames, confidence=1.0, **settings)
    finally:
        hook.remove()
    return shapes


def test_the_network_never_sees_a_large_picture(detector):
    large = torch.zeros(1, 1, 1, 3).expand(1, 4320, 7680, 3)
    # Nothing is found, so turned copies are looked at too.
    for side, width in ((64, 114), (128, 228)):
        upright, turned = (1, 3, side, width), (1, 3, width, side)
        shapes = _seen_shapes(detector, large, search_size=side)
        assert shapes == [upright, turned, upright, turned]


def test_frames_share_forwards_within_a_bound(detector):
    progress: list[tuple[int, int]] = []
    runtime = Runtime(lambda done, total: progress.append((done, total)), batch_size=3)
    shapes = _seen_shapes(detector, torch.rand(7, 32, 32, 3), search_size=32, runtime=runtime)
    assert [shape[0] for shape in shapes] == [3, 3, 1]
    assert progress == [(3, 7), (6, 7), (7, 7)]


def test_an_exception_in_progress_stops_the_search(detector):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detector.detect(torch.rand(2, 16, 16, 3), search_size=32, runtime=Runtime(stop))


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 1, 300, 3), (0, 40, 40, 3), (3, 17, 5, 3)])
def test_odd_shapes_are_searched(detector, shape):
    found = detector.detect(torch.rand(shape), confidence=1.0, search_size=64)
    assert len(found) == shape[0]
    assert found.count == 0
    assert (found.height, found.width) == shape[1:3]


def test_pixels_that_are_not_finite_do_not_stop_the_search(detector, noise):
    broken = noise[:1].clone()
    broken[0, 0, 0] = torch.nan
    assert len(detector.detect(broken, confidence=0.99, search_size=160)) == 1


def test_the_larger_backbone_is_built_for_inference():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchvision, about facexlib's arguments
        large = facexlib.RetinaFace("resnet50", device=torch.device("cpu"))
    detector = _built(large.state_dict(), "resnet50")
    assert detector.name == "retinaface_resnet50"
    assert not detector.network.training
    assert not any(weight.requires_grad for weight in detector.network.parameters())


def test_tensors_that_do_not_fit_are_named(reference):
    state = reference.state_dict()
    del state["fpn.merge1.0.weight"]
    with pytest.raises(CheckpointError, match=r"fpn\.merge1\.0\.weight"):
        _built(state, "mobile0.25")


def test_a_missing_package_is_named(reference, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "facexlib.detection.retinaface", None)
    with pytest.raises(MissingModelError, match="pip install --no-deps facexlib"):
        _built(reference.state_dict(), "mobile0.25")


@pytest.mark.weights
def test_real_weights_find_the_astronaut(astronaut):
    folder = os.environ.get("CODEFORMER_TEST_DATA")
    if not folder:
        pytest.skip("CODEFORMER_TEST_DATA names no folder with weights")
    path = next(Path(folder).rglob("retinaface_mobilenet0.25.pth"), None)
    if path is None:
        pytest.skip(f"no retinaface_mobilenet0.25.pth under {folder}")
    (face,) = load_detector(path).detect(astronaut[None])
    assert face.score > 0.99
    assert face.landmarks.left_eye == pytest.approx((205, 102), abs=4)
    assert face.landmarks.right_eye == pytest.approx((248, 103), abs=4)
