"""What all detectors share: windows, turned copies, and the judgement of what was found."""

import math

import pytest
import torch
from torch import Tensor

from codeformer_core.errors import SettingError
from codeformer_core.faces import TEMPLATE, Box, Landmarks, affine
from codeformer_core.faces.detection.base import Finding, WorkingCopy, in_picture
from codeformer_core.faces.detection.judge import is_face, residual, seen_again, without_repeats
from codeformer_core.faces.detection.search import (
    MOST_PIXELS,
    OVERLAP,
    TILE_PIXELS,
    search,
    windows_of,
)


def _face(left: float, top: float, size: float, score: float = 0.99) -> Finding:
    """An upright face whose aligned square has this place and size."""
    matrix = affine.compose(
        affine.translation(left, top), ((size / 512, 0.0, 0.0), (0.0, size / 512, 0.0))
    )
    landmarks = Landmarks(*affine.apply_all(matrix, TEMPLATE.points))
    box = Box(left + 0.25 * size, top + 0.2 * size, left + 0.75 * size, top + 0.9 * size)
    return Finding(box, score, landmarks)


def _squeezed(finding: Finding, share: float) -> Finding:
    """The same with its points pushed together sideways."""
    middle = sum(x for x, _ in finding.landmarks.points) / 5
    points = [(middle + share * (x - middle), y) for x, y in finding.landmarks.points]
    return finding._replace(landmarks=Landmarks(*points))


# ------------------------------------------------------------------------------------ judgement


def test_an_upright_face_fits_however_large_and_turned():
    face = _face(30, 40, 200)
    turn = ((0.6, -0.8, 300.0), (0.8, 0.6, 10.0))
    turned = Landmarks(*affine.apply_all(turn, face.landmarks.points))
    assert residual(face.landmarks) == pytest.approx(0, abs=1e-6)
    assert residual(turned) == pytest.approx(0, abs=1e-6)


def test_points_on_a_line_are_no_face():
    assert not is_face(_squeezed(_face(0, 0, 200), 0.0))
    assert math.isinf(residual(Landmarks(*[(3.0, 4.0)] * 5)))


def test_points_outside_their_box_are_no_face():
    face = _face(100, 100, 200)
    assert is_face(face)
    assert not is_face(face._replace(box=Box(400, 400, 500, 500)))


def test_points_that_fit_badly_are_a_face_only_when_the_score_is_sure():
    face = _squeezed(_face(0, 0, 200), 0.5)
    assert 22 < residual(face.landmarks) < 35
    assert is_face(face._replace(score=0.97))
    assert not is_face(face._replace(score=0.9))


def _scores(*scores: float) -> list[Finding]:
    return [_face(0, 0, 200, score) for score in scores]


@pytest.mark.parametrize(
    ("found", "upright", "turned", "judged"),
    [
        pytest.param(0.935, [0.949], [0.967, 0.979, 0.925], 0.979, id="a turned head"),
        pytest.param(0.92, [0.975], [0.959], 0.92, id="an upright face, badly seen"),
        pytest.param(0.90, [], [0.92], 0.90, id="turned it is no surer"),
        pytest.param(0.96, [], [0.963], 0.96, id="turned it is hardly better"),
        pytest.param(0.97, [], [], 0.97, id="sure from the first"),
        pytest.param(0.82, [], [], None, id="not found again"),
    ],
)
def test_a_second_look_judges_what_was_found_badly(found, upright, turned, judged):
    (finding,) = _scores(found)
    result = seen_again(finding, _scores(*upright), _scores(*turned))
    assert (result and result.score) == judged


def test_a_close_up_found_twice_is_one_face():
    better, worse = _face(0, 0, 300), _face(50, 20, 300, 0.9)
    assert without_repeats([worse, better]) == [better]


def test_heads_cheek_to_cheek_stay_two():
    assert len(without_repeats([_face(0, 0, 200), _face(80, 0, 200)])) == 2


def test_a_child_before_an_adult_stays():
    assert len(without_repeats([_face(0, 0, 400), _face(150, 250, 150)])) == 2


def test_an_eye_taken_for_a_face_is_part_of_one():
    whole, eye = _face(0, 0, 400), _face(100, 100, 200, 0.98)
    assert without_repeats([eye, whole]) == [whole]


# -------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize(("height", "width"), [(512, 512), (3000, 4000), (700, 2800), (100, 60)])
def test_ordinary_pictures_are_searched_whole(height, width):
    ((window,),) = windows_of(height, width, 640)
    assert (window.left, window.top, window.width, window.height) == (0, 0, width, height)
    assert min(window.size) == 640


@pytest.mark.parametrize(
    ("height", "width", "search_size"),
    [
        (700, 16000, 640),
        (9000, 1000, 640),
        (6000, 8000, 4000),
        (1, 5000, 640),
        (40000, 30000, 9999),
    ],
)
def test_tiles_cover_the_picture_and_stay_bounded(height, width, search_size):
    _, tiles = windows_of(height, width, search_size)
    covered = torch.zeros(height // 50 + 1, width // 50 + 1, dtype=torch.bool)
    for tile in tiles:
        assert tile.left + tile.width <= width and tile.top + tile.height <= height
        rows = slice(tile.top // 50, (tile.top + tile.height) // 50 + 1)
        covered[rows, tile.left // 50 : (tile.left + tile.width) // 50 + 1] = True
    assert bool(covered.all())
    assert math.prod(tiles[0].size) <= 1.01 * TILE_PIXELS
    assert len(tiles) * math.prod(tiles[0].size) <= MOST_PIXELS * (1 + 2 * OVERLAP) ** 2


def test_a_search_size_of_nothing_is_refused():
    with pytest.raises(SettingError, match="search size"):
        windows_of(100, 100, 0)


# ----------------------------------------------------------------------------------- the search


class _Marks:
    """Finds bright marks of 8 pixels: upright they score high, turned lower or not at all."""

    def __init__(self, upright: int, confidence: float) -> None:
        """Call `upright` the quarter turns after which the mark is seen as it should be."""
        self.upright, self.confidence, self.windows = upright, confidence, 0

    def __call__(self, count, copy, pixels, runtime, /):
        for index in range(count):
            self.windows += 1
            yield list(self._findings(copy(index)))
            runtime.report(index + 1, count)

    def _findings(self, copy: WorkingCopy):
        red = copy.pixels[0]
        if red.max() < 0.9:
            return
        rows, columns = torch.nonzero(red > 0.5, as_tuple=True)
        scale = affine.mean_scale(copy.to_picture)
        turns = round(math.degrees(math.atan2(copy.to_picture[1][0], copy.to_picture[0][0])) / 90)
        is_upright = turns % 4 == self.upright
        score = 0.97 if is_upright else self.confidence
        if score <= 0.5:
            return
        size = 100 / scale
        left, top = float(columns.float().mean()) - size / 2, float(rows.float().mean()) - size / 2
        yield in_picture(_face(left, top, size, score), copy.to_picture)


def _picture(height: int, width: int, y: int, x: int) -> Tensor:
    frames = torch.zeros(1, height, width, 3)
    frames[0, y - 4 : y + 4, x - 4 : x + 4] = 1.0
    return frames


def _search(frames: Tensor, find: _Marks, search_size: int = 640):
    return search(frames, find, confidence=0.8, min_size=0.0, search_size=search_size)


@pytest.mark.parametrize("upright", [1, 2, 3])
def test_a_turned_head_is_aligned_upright(upright):
    faces = _search(_picture(400, 500, 210, 260), _Marks(upright, confidence=0.85))
    (face,) = faces
    assert face.score == pytest.approx(0.97)
    assert face.box.centre == pytest.approx((259.5, 212), abs=8)
    (left, top), (right, bottom) = face.landmarks.left_eye, face.landmarks.right_eye
    assert round(math.degrees(math.atan2(bottom - top, right - left)) / 90) % 4 == upright


def test_a_head_that_is_found_only_turned_is_found():
    assert _search(_picture(400, 500, 210, 260), _Marks(2, confidence=0.0)).count == 1


def test_an_upright_face_found_well_costs_one_window():
    find = _Marks(0, confidence=0.6)
    assert _search(_picture(400, 500, 210, 260), find).count == 1
    assert find.windows == 1


def test_empty_frames_of_a_clip_are_not_searched_turned():
    find = _Marks(2, confidence=0.0)
    assert _search(_picture(60, 80, 30, 40).expand(6, -1, -1, -1), find, 60).count == 0
    assert find.windows == 6


@pytest.mark.parametrize("x", [50, 2300, 2600, 5000, 7900])
def test_a_face_of_a_panorama_is_found_once_where_it_is(x):
    (face,) = _search(_picture(640, 8000, 320, x), _Marks(0, confidence=0.0))
    assert face.box.centre == pytest.approx((x - 0.5, 324.5), abs=6)


def test_a_face_larger_than_its_picture_is_seen_from_afar():
    class CloseUp(_Marks):
        """Sees a part of a face where it is; the whole one only with something around it."""

        def _findings(self, copy):
            left, _ = affine.apply(copy.to_picture, (0.0, 0.0))
            face = _face(-170, -170, 640) if left < -50 else _face(0, 0, 310, 0.98)
            yield in_picture(face, affine.IDENTITY)

    (face,) = _search(torch.zeros(1, 300, 300, 3), CloseUp(0, confidence=0.0))
    assert face.landmarks == _face(-170, -170, 640).landmarks


@pytest.mark.parametrize(("search_size", "sides"), [(640, [640]), (1280, [640, 1280])])
def test_a_large_search_finds_large_faces_too(search_size, sides):
    assert [min(plan[0].size) for plan in windows_of(3000, 3000, search_size)] == sides


def test_findings_that_are_no_face_are_counted():
    class Lines(_Marks):
        def _findings(self, copy):
            for finding in super()._findings(copy):
                yield _squeezed(finding, 0.0)

    faces = _search(_picture(400, 500, 210, 260), Lines(0, confidence=0.0))
    assert (faces.count, faces.misfits) == (0, 1)
