"""Frames help each other where they show the same, and only there."""

import numpy as np
import pytest

from codeformer_core.errors import SettingError
from codeformer_core.video.steady import LOOK_AHEAD, Steadiness, SteadyFace

SIDE = 64
TIMES = [index / 25 for index in range(30)]


def smooth(seed=0):
    """A picture without noise, (S, S, 3)."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = np.stack([np.sin(7 * rows + seed), np.cos(9 * columns), np.sin(5 * rows * columns)], -1)
    return (0.5 + 0.3 * waves).astype(np.float32)


def noisy(picture, index, deviation=0.03):
    random = np.random.default_rng(index)
    return (picture + random.normal(0, deviation, picture.shape)).astype(np.float32)


def through(crops, steadiness, wanted=None, restore=lambda picture: picture):
    """What a face's crops become, {index: picture}."""
    face = SteadyFace(steadiness, TIMES, wanted or range(len(crops)), len(crops))
    results = {}
    for index, crop in enumerate(crops):
        face.take(index, crop)
        for at, picture in list(face.inputs()):
            face.give(at, restore(picture))
        results.update(face.results())
    return results


def test_every_frame_comes_out_once_and_in_order():
    results = through([smooth()] * 20, Steadiness.of(0.5))
    assert list(results) == list(range(20))


def test_without_stability_every_frame_is_itself():
    crops = [noisy(smooth(), index) for index in range(12)]
    results = through(crops, Steadiness.of(0.0))
    assert all(np.allclose(results[index], crop, atol=1e-6) for index, crop in enumerate(crops))


@pytest.mark.parametrize(("stability", "left"), [(0.5, 0.5), (1.0, 0.45)])
def test_noise_is_averaged_away(stability, left):
    crops = [noisy(smooth(), index) for index in range(20)]
    results = through(crops, Steadiness.of(stability))
    assert (results[10] - smooth()).std() < left * 0.03


def test_detail_is_raised_where_frames_helped_and_nowhere_else():
    crop = noisy(smooth(), 0, 0.01)
    edges = [np.abs(np.diff(crop, 2, 0)).mean()]
    edges += [
        np.abs(np.diff(through([crop] * count, Steadiness.of(0.5))[0], 2, 0)).mean()
        for count in (1, 12)
    ]
    assert edges[1] == pytest.approx(edges[0], rel=1e-4)
    assert 1.05 * edges[0] < edges[2] < 1.3 * edges[0]


def test_what_moves_is_followed():
    crops = [noisy(np.roll(smooth(), index, 1), index, 0.01) for index in range(20)]
    results = through(crops, Steadiness.of(0.5))
    inner = slice(12, -12)
    error = (results[10] - np.roll(smooth(), 10, 1))[inner, inner]
    unmoved = (crops[12] - crops[10])[inner, inner]
    assert abs(error).mean() < 0.2 * abs(unmoved).mean()


def test_a_blink_leaves_no_ghost():
    """One frame shows something else at one place: there it must keep what it shows."""
    crops = [noisy(smooth(), index, 0.01) for index in range(20)]
    crops[10] = crops[10].copy()
    crops[10][20:36, 20:44] = 0.05
    results = through(crops, Steadiness.of(0.5))
    assert abs(results[10][24:32, 26:38] - 0.05).mean() < 0.02
    for index in (8, 9, 11, 12):
        assert abs(results[index] - smooth())[22:34, 22:42].mean() < 0.02


def test_a_dropped_frame_has_no_result_and_helps_nobody():
    crops = [smooth()] * 12
    crops[5] = None
    assert sorted(through(crops, Steadiness.of(0.5))) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_only_wanted_frames_come_out_and_look_ahead_is_enough():
    crops = [noisy(smooth(), index) for index in range(30)]
    whole = through(crops, Steadiness.of(1.0))
    wanted = range(10, 20)
    part = [None] * 30
    for index in range(10 - LOOK_AHEAD, 20 + LOOK_AHEAD):
        part[index] = crops[index]
    results = through(part, Steadiness.of(1.0), wanted)
    assert list(results) == list(wanted)
    assert all((results[index] == whole[index]).all() for index in wanted)


@pytest.mark.parametrize("stability", [-0.1, 1.1])
def test_a_stability_out_of_range_is_refused(stability):
    with pytest.raises(SettingError, match="stability"):
        Steadiness.of(stability)
