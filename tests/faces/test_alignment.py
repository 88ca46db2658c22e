"""The fit to the five-point template."""

import math
import random

import pytest

from codeformer_core.errors import PictureError
from codeformer_core.faces import TEMPLATE, Landmarks, affine, fit_similarity, landmarks_of, place

TURN = (
    (0.3 * math.cos(0.5), -0.3 * math.sin(0.5), 40.0),
    (0.3 * math.sin(0.5), 0.3 * math.cos(0.5), 9.0),
)


def _jittered(points, pixels: float, seed: int):
    noise = random.Random(seed)
    return [(x + noise.gauss(0, pixels), y + noise.gauss(0, pixels)) for x, y in points]


def _close(one: affine.Affine, other, tolerance: float) -> bool:
    pairs = zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True)
    return all(abs(a - b) <= tolerance for a, b in pairs)


def test_landmarks_on_the_template_give_the_identity():
    assert _close(place(TEMPLATE, 512, 512, 512).matrix, affine.IDENTITY, 1e-12)


def test_a_known_similarity_is_recovered():
    moved = affine.apply_all(TURN, TEMPLATE.points)
    assert _close(place(Landmarks(*moved), 512, 300, 400).matrix, affine.invert(TURN), 1e-9)


@pytest.mark.filterwarnings("ignore:`estimate` is deprecated")
@pytest.mark.parametrize("seed", range(5))
def test_noisy_landmarks_fit_like_the_independent_umeyama(seed: int):
    numpy = pytest.importorskip("numpy")
    transform = pytest.importorskip("skimage.transform")
    points = _jittered(affine.apply_all(TURN, TEMPLATE.points), 4.0, seed)
    expected = transform.SimilarityTransform()
    assert expected.estimate(numpy.array(points), numpy.array(TEMPLATE.points))
    assert _close(fit_similarity(points, TEMPLATE.points), expected.params[:2].tolist(), 1e-6)


def test_weights_of_zero_leave_points_out():
    points = list(affine.apply_all(TURN, TEMPLATE.points))
    points[4] = (-900.0, 900.0)
    fitted = fit_similarity(points, TEMPLATE.points, (1, 1, 1, 1, 0))
    assert _close(fitted, affine.invert(TURN), 1e-9)


def test_crop_size_scales_pixel_areas():
    placement = place(TEMPLATE, 128, 512, 512)
    assert affine.apply(placement.matrix, (-0.5, -0.5)) == pytest.approx((-0.5, -0.5))
    assert affine.apply(placement.matrix, (511.5, 511.5)) == pytest.approx((127.5, 127.5))


def test_landmarks_of_a_placement_are_placed_where_it_is():
    placement = place(Landmarks(*affine.apply_all(TURN, TEMPLATE.points)), 256, 300, 400)
    again = place(landmarks_of(placement), 256, 300, 400)
    assert _close(again.matrix, placement.matrix, 1e-9)


def test_two_coincident_landmarks_still_make_a_face():
    points = list(TEMPLATE.points)
    points[1] = points[2]  # a profile: the far eye behind the nose
    placement = place(Landmarks(*points), 512, 512, 512)
    assert 0.5 < placement.scale < 2.0


@pytest.mark.parametrize("bad", [(7.0, 7.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_landmarks_without_a_shape_are_refused(bad: tuple[float, float]):
    with pytest.raises(PictureError, match="coincide or are not finite"):
        place(Landmarks(bad, bad, bad, bad, bad), 512, 100, 100)


def test_one_landmark_that_is_not_finite_is_refused():
    points = (*TEMPLATE.points[:4], (math.nan, 3.0))
    with pytest.raises(PictureError, match="not finite"):
        place(Landmarks(*points), 512, 100, 100)
