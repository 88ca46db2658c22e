"""The offline detector on a real photo."""

import importlib.machinery
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from codeformer_core.errors import MissingModelError
from codeformer_core.faces import TEMPLATE, DlibDetector, Landmarks, affine, place
from codeformer_core.faces.detection import dlib_detector
from codeformer_core.faces.warp import warp
from codeformer_core.runtime import Runtime

pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def detector() -> DlibDetector:
    return DlibDetector()


@pytest.fixture(scope="module")
def portrait(astronaut: Tensor) -> Tensor:
    """The head of the photo: (1, 240, 240, 3)."""
    return astronaut[None, :240, 100:340].contiguous()


def _template_errors(one, other) -> list[float]:
    """Distances at the template's points, in pixels of a 512-pixel crop."""
    there_and_back = affine.compose(one.matrix, other.inverse)
    moved = affine.apply_all(there_and_back, TEMPLATE.points)
    return [math.dist(a, b) for a, b in zip(moved, TEMPLATE.points, strict=True)]


def test_the_astronaut_is_found_and_nothing_else(detector, astronaut):
    (face,) = detector.detect(astronaut[None])
    # Read off the photo by eye, with RetinaFace within 2 pixels.
    assert face.landmarks.left_eye == pytest.approx((205, 102), abs=5)
    assert face.landmarks.right_eye == pytest.approx((248, 103), abs=5)
    assert face.landmarks.nose == pytest.approx((225, 126), abs=6)
    assert face.score > 0.8
    assert 80 < face.box.width < 120
    assert 0.7 < face.box.width / face.box.height < 0.8


def test_the_crop_is_the_one_that_retinaface_landmarks_give(detector, astronaut):
    # Measured once with RetinaFace (mobilenet0.25) in this photo.
    points = ((205.4, 100.0), (247.5, 104.9), (224.0, 127.3), (202.0, 138.0), (244.7, 142.1))
    (face,) = detector.detect(astronaut[None])
    errors = _template_errors(face.placement, place(Landmarks(*points), 512, 512, 512))
    assert sum(errors) / 5 < 11


def test_the_measured_corners_lie_around_the_eyes_of_the_template():
    right_outer, right_inner, left_outer, left_inner, nose_base = dlib_detector.DLIB_TEMPLATE
    for outer, inner, eye in (
        (left_outer, left_inner, TEMPLATE.left_eye),
        (right_outer, right_inner, TEMPLATE.right_eye),
    ):
        assert math.dist(((outer[0] + inner[0]) / 2, (outer[1] + inner[1]) / 2), eye) < 8
    assert nose_base[0] == pytest.approx(TEMPLATE.nose[0], abs=3)
    assert TEMPLATE.nose[1] < nose_base[1] < TEMPLATE.mouth_left[1]


class _Shape:
    def __init__(self, points) -> None:
        self._points = points

    def parts(self):
        return [SimpleNamespace(x=x, y=y) for x, y in self._points]


def test_a_second_look_in_the_crop_corrects_the_first(detector, monkeypatch):
    """The predictor first sees the face in place, then, in the crop, 10 pixels to the right."""
    looks: list[tuple[int, ...]] = []
    in_picture = affine.translation(70.0, 40.0)
    in_crop = affine.translation(10.0, 0.0)

    def predict(pixels, rectangle):
        looks.append(pixels.shape)
        moved = in_picture if len(looks) == 1 else in_crop
        return _Shape(affine.apply_all(moved, dlib_detector.DLIB_TEMPLATE))

    hit = SimpleNamespace(run=lambda pixels, upsample, threshold: ([None], [1.0], [0]))
    monkeypatch.setattr(detector, "_detector", hit)
    monkeypatch.setattr(detector, "_predictor", predict)
    (face,) = detector.detect(torch.rand(1, 600, 700, 3), search_size=600)
    assert looks == [(600, 700, 3), (512, 512, 3)]
    assert affine.apply(face.placement.matrix, (80.0, 40.0)) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert face.placement.scale == pytest.approx(1.0)


def test_placement_and_landmarks_agree(detector, portrait):
    (face,) = detector.detect(portrait)
    again = place(face.landmarks, 512, 240, 240)
    assert max(_template_errors(again, face.placement)) < 1e-6


@pytest.mark.parametrize(("degrees", "zoom"), [(0, 1.7), (15, 1.0), (-20, 0.8), (25, 2.2)])
def test_placement_follows_a_turned_and_enlarged_face(detector, portrait, degrees, zoom):
    angle = math.radians(degrees)
    turn = complex(math.cos(angle), math.sin(angle)) * zoom
    size = round(240 * zoom)
    shift = complex(size / 2, size / 2) - turn * complex(120, 120)
    to_new = ((turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag))
    turned = warp(portrait[0], affine.invert(to_new), size, size)[None]
    (before,) = detector.detect(portrait)
    (after,) = detector.detect(turned)
    moved = affine.compose(before.placement.matrix, affine.invert(to_new))
    there_and_back = affine.compose(after.placement.matrix, affine.invert(moved))
    points = affine.apply_all(there_and_back, TEMPLATE.points)
    assert max(math.dist(a, b) for a, b in zip(points, TEMPLATE.points, strict=True)) < 12


def test_cost_does_not_grow_with_the_picture(detector, portrait, monkeypatch):
    sizes: list[tuple[int, ...]] = []

    class Counting:
        def run(self, pixels, upsample, threshold):
            sizes.append(pixels.shape)
            return [], [], []

    monkeypatch.setattr(detector, "_detector", Counting())
    detector.detect(torch.zeros(1, 1, 1, 3).expand(1, 4320, 7680, 3), search_size=90)
    assert sizes == [(90, 160, 3)]


def test_a_large_photo_gives_the_same_face(detector, portrait):
    large = torch.nn.functional.interpolate(portrait.movedim(-1, 1), scale_factor=9.0).movedim(
        1, -1
    )
    (face,) = detector.detect(large, search_size=480)
    (small,) = detector.detect(portrait, search_size=480)
    expected = small.placement.in_upscaled_picture(2160, 2160)
    assert max(_template_errors(face.placement, expected)) < 8


def test_gray_pictures_are_searched(detector, portrait):
    gray = portrait.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    assert detector.detect(gray).count == 1


def test_frames_keep_their_order(detector, portrait):
    frames = torch.cat((torch.zeros_like(portrait), portrait, portrait.flip(2)))
    progress: list[tuple[int, int]] = []
    runtime = Runtime(lambda done, total: progress.append((done, total)))
    found = detector.detect(frames, search_size=240, runtime=runtime)
    assert [len(frame) for frame in found.frames] == [0, 1, 1]
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_two_faces_come_from_left_to_right(detector, portrait):
    side_by_side = torch.cat((portrait, portrait.flip(2)), dim=2)
    first, second = detector.detect(side_by_side, search_size=240)
    assert first.box.right < 240 < second.box.left


def test_confidence_and_size_leave_faces_out(detector, portrait):
    assert detector.detect(portrait, confidence=1.0).count == 0
    assert detector.detect(portrait, min_size=400).count == 0
    lax = detector.detect(portrait, confidence=0.0)
    assert lax.count >= 1


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 2, 900, 3), (0, 40, 40, 3)])
def test_odd_shapes_are_searched(detector, shape):
    found = detector.detect(torch.rand(shape), search_size=64)
    assert len(found) == shape[0]
    assert found.count == 0


def test_pixels_that_are_not_finite_do_not_hide_the_face(detector, portrait):
    broken = portrait.clone()
    broken[0, 0, 0], broken[0, 110, 120] = torch.nan, torch.inf
    assert detector.detect(broken).count == 1


def test_the_model_package_is_never_imported(detector):
    assert dlib_detector.predictor_path().name == "shape_predictor_5_face_landmarks.dat"
    assert "face_recognition_models" not in sys.modules


def test_a_missing_dlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingModelError, match="pip install dlib-bin"):
        DlibDetector()


@pytest.mark.parametrize("spec", [None, importlib.machinery.ModuleSpec("empty", None)])
def test_a_missing_predictor_is_named(monkeypatch, spec):
    monkeypatch.setattr(dlib_detector.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(MissingModelError, match="pip install face_recognition_models"):
        DlibDetector()
