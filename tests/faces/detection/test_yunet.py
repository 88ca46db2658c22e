"""The detector of the package on a real photo."""

import math
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from codeformer_core.degradation import Degradation, degrade
from codeformer_core.errors import MissingModelError
from codeformer_core.faces import TEMPLATE, Face, Landmarks, Placement, YuNetDetector, affine, place
from codeformer_core.faces.detection import yunet
from codeformer_core.faces.warp import warp
from codeformer_core.images import resize
from codeformer_core.runtime import Runtime

RETINAFACE = Landmarks(
    (205.4, 100.0), (247.5, 104.9), (224.0, 127.3), (202.0, 138.0), (244.7, 142.1)
)
"""What RetinaFace (mobilenet0.25) saw in the photo of the astronaut, measured once."""


@pytest.fixture(scope="module")
def detector() -> YuNetDetector:
    return YuNetDetector()


@pytest.fixture(scope="module")
def portrait(astronaut: Tensor) -> Tensor:
    """The head of the photo: (1, 240, 240, 3)."""
    return astronaut[None, :240, 100:340].contiguous()


def crop_error(one: Placement, other: Placement) -> float:
    """Mean distance of the template's points in the other crop, in pixels of 512."""
    moved = affine.apply_all(affine.compose(one.matrix, other.inverse), TEMPLATE.points)
    return sum(map(math.dist, moved, TEMPLATE.points)) / 5


def turned(picture: Tensor, degrees: float, zoom: float = 1.0) -> tuple[Tensor, affine.Affine]:
    """A (1, S, S, 3) picture turned about its middle, and the map from the one to the other."""
    side = picture.shape[1]
    size = round(side * zoom)
    turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees))) * zoom
    shift = complex(size / 2, size / 2) - turn * complex(side / 2, side / 2)
    to_new = ((turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag))
    return warp(picture[0], affine.invert(to_new), size, size)[None], to_new


def angle(face: Face) -> float:
    """How far a face is turned in its picture, in degrees."""
    (a, _, _), (b, _, _) = face.placement.inverse
    return math.degrees(math.atan2(b, a))


def test_the_astronaut_is_found_and_nothing_else(detector, astronaut):
    (face,) = detector.detect(astronaut[None])
    # Read off the photo by eye, with RetinaFace within 2 pixels.
    assert face.landmarks.left_eye == pytest.approx((205, 102), abs=3)
    assert face.landmarks.right_eye == pytest.approx((248, 103), abs=3)
    assert face.landmarks.nose == pytest.approx((225, 126), abs=5)
    assert 0.95 < face.score < 1
    assert 80 < face.box.width < 120
    assert 0.7 < face.box.width / face.box.height < 0.8


def test_the_crop_is_the_one_that_retinaface_landmarks_give(detector, astronaut):
    (face,) = detector.detect(astronaut[None])
    assert crop_error(face.placement, place(RETINAFACE, 512, 512, 512)) < 11


@pytest.mark.parametrize("degrees", [-40, -25, 15, 30])
@pytest.mark.parametrize("zoom", [0.4, 1.0, 2.2])
def test_a_turned_face_is_seen_as_turned(detector, portrait, degrees, zoom):
    """At zoom 0.4 it is 48 pixels high, where the network's first look sees no turn at all."""
    (upright,) = detector.detect(portrait)
    picture, to_new = turned(portrait, degrees, zoom)
    (face,) = detector.detect(picture)
    assert angle(face) - angle(upright) == pytest.approx(degrees, abs=5)
    moved = affine.compose(upright.placement.matrix, affine.invert(to_new))
    expected = Placement(moved, 512, *picture.shape[1:3])
    assert crop_error(face.placement, expected) < 13


@pytest.mark.parametrize("height", [14, 24, 100, 400, 640])
def test_faces_of_all_sizes_are_found_at_the_usual_search_size(detector, portrait, height):
    """The face is half as high as the portrait; the picture is searched as it is."""
    side = 2 * height
    planes = portrait.movedim(-1, 1)
    face = functional.interpolate(planes, (side, side), mode="bicubic", antialias=True)
    picture = torch.full((1, 1280, 1280, 3), 0.5)
    picture[:, 10 : 10 + side, 10 : 10 + side] = face.movedim(1, -1)[:, :1270, :1270]
    (found,) = detector.detect(picture, min_size=0.0, search_size=1280)
    assert found.box.height == pytest.approx(height, rel=0.25)


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(blur_x=3.0),
        Degradation(gaussian_noise=25.0, sensor_noise=15.0),
        Degradation(downsample=4.0, jpeg_quality=30),
    ],
)
def test_degraded_faces_are_found_where_they_are(detector, portrait, degradation):
    (sharp,) = detector.detect(portrait)
    (face,) = detector.detect(degrade(portrait, degradation, 1))
    assert crop_error(face.placement, sharp.placement) < 25


@pytest.mark.parametrize(("size", "seed"), [(96, 4), (96, 5), (150, 5)])
def test_an_upright_face_stays_upright_however_badly_it_is_seen(detector, astronaut, size, seed):
    """Turned copies of these three score higher than the face as it was found."""
    small = resize(astronaut[None, :300, 70:370], size, size)
    degradation = Degradation(blur_x=2.0, downsample=2.0, gaussian_noise=10.0, jpeg_quality=30)
    (clean,) = detector.detect(small)
    (face,) = detector.detect(degrade(small, degradation, seed))
    assert crop_error(face.placement, clean.placement) < 90


def test_one_face_is_found_once_at_any_search_size(detector, portrait):
    """The close-up, whose parts look like faces to the network at the largest sizes."""
    close = portrait[:, 50:160, 75:180].contiguous()
    for size in (320, 640, 1280, 1920):
        (face,) = detector.detect(close, search_size=size)
        assert face.box.width > 60


def test_two_looks_that_end_at_one_face_are_one_face(detector, astronaut, monkeypatch):
    found = detector._candidates(astronaut)
    beside = found[0]._replace(box=yunet.Box(0.0, 0.0, 20.0, 20.0), score=0.5)
    seen = detector._candidates
    monkeypatch.setattr(
        detector,
        "_candidates",
        lambda pixels: [*found, beside] if pixels.shape == astronaut.shape else seen(pixels),
    )
    assert detector.detect(astronaut[None]).count == 1


@pytest.mark.parametrize("seed", range(3))
def test_textures_are_no_faces(detector, seed):
    torch.manual_seed(seed)
    coarse = functional.interpolate(torch.randn(1, 3, 40, 60), (640, 960), mode="bicubic")
    fine = torch.randn(1, 3, 640, 960)
    picture = (0.5 + 0.15 * coarse + 0.1 * fine).clamp(0, 1).movedim(1, -1)
    assert detector.detect(picture, confidence=0.5).count == 0


def test_only_the_copy_is_searched(detector, monkeypatch):
    sizes: list[tuple[int, ...]] = []
    monkeypatch.setattr(detector, "_look", lambda picture: sizes.append(picture.shape) or [])
    frame = torch.zeros(1, 1, 1, 3).expand(1, 4320, 7680, 3)
    detector.detect(frame)
    assert sizes[:2] == [(640, 1138, 3), (320, 569, 3)]
    turned = [(1138, 640, 3), (569, 320, 3)]
    assert sorted(sizes[2:]) == sorted([*sizes[:2], *turned, *turned, *sizes[:2]])  # and from afar


def test_a_large_photo_gives_the_same_face(detector, portrait):
    large = functional.interpolate(portrait.movedim(-1, 1), scale_factor=9.0).movedim(1, -1)
    (face,) = detector.detect(large, search_size=480)
    (small,) = detector.detect(portrait, search_size=480)
    expected = small.placement.in_upscaled_picture(2160, 2160)
    assert crop_error(face.placement, expected) < 5


def test_gray_pictures_are_searched(detector, portrait):
    gray = portrait.mean(-1, keepdim=True).expand(-1, -1, -1, 3)
    assert detector.detect(gray).count == 1


def test_frames_keep_their_order(detector, portrait):
    frames = torch.cat((torch.zeros_like(portrait), portrait, portrait.flip(2)))
    progress: list[tuple[int, int]] = []
    runtime = Runtime(lambda done, total: progress.append((done, total)))
    found = detector.detect(frames, search_size=240, runtime=runtime)
    assert [len(frame) for frame in found.frames] == [0, 1, 1]
    assert progress[:3] == [(1, 3), (2, 3), (3, 3)]


def test_two_faces_come_from_left_to_right(detector, portrait):
    side_by_side = torch.cat((portrait, portrait.flip(2)), dim=2)
    first, second = detector.detect(side_by_side)
    assert first.box.right < 240 < second.box.left


def test_confidence_and_size_leave_faces_out(detector, portrait):
    assert detector.detect(portrait, confidence=1.0).count == 0
    assert detector.detect(portrait, min_size=400).count == 0
    everything = detector.detect(portrait, confidence=0.0)
    assert everything.count >= 1
    assert all(0 <= face.score <= 1 for face in everything)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 2, 900, 3), (0, 40, 40, 3)])
def test_odd_shapes_are_searched(detector, shape):
    found = detector.detect(torch.rand(shape), search_size=64)
    assert len(found) == shape[0]
    assert found.count == 0


def test_pixels_that_are_not_finite_do_not_hide_the_face(detector, portrait):
    broken = portrait.clone()
    broken[0, 0, 0], broken[0, 110, 120] = torch.nan, torch.inf
    assert detector.detect(broken).count == 1


def test_the_number_of_threads_changes_nothing(detector, astronaut):
    before, torch_before = cv2.getNumThreads(), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            torch.set_num_threads(threads)
            found.append(YuNetDetector().detect(astronaut[None]))
    finally:
        cv2.setNumThreads(before)
        torch.set_num_threads(torch_before)
    assert found[0] == found[1] == found[2]


def test_opencv_says_nothing():
    """Not even the newest, which warns of a default of its own."""
    code = "from codeformer_core.faces import YuNetDetector; YuNetDetector()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stderr == ""


def test_an_opencv_that_reads_only_files_is_given_the_file(monkeypatch, astronaut):
    create = cv2.FaceDetectorYN.create

    def old(model, config, *options):
        if isinstance(config, np.ndarray):
            raise TypeError("Can't convert object to 'str' for 'config'")
        return create(model, config, *options)

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", old)
    assert YuNetDetector().detect(astronaut[None]).count == 1


def test_a_missing_opencv_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingModelError, match="pip install opencv-python"):
        YuNetDetector()
