"""Placements along a track: jitter goes, motion stays."""

import numpy as np
import pytest

from codeformer_core.faces import TEMPLATE, Landmarks, landmarks_of, place
from codeformer_core.video.placements import placement_numbers, placement_of, steady_placements

RATE = 25
TIMES = np.arange(75) / RATE


def track(x, noise=0.0, seed=0):
    """(n, 4) placements of a face of 150 px whose x follows a line of numbers."""
    random = np.random.default_rng(seed)
    count = len(x)
    still = np.stack([np.zeros(count), np.zeros(count), np.full(count, -1.2), np.zeros(count)], 1)
    still[:, 0] = x
    return still + random.normal(0, noise, (count, 4)) * [1, 1, 1 / 75, 1 / 75]


def steady(numbers, weights=None, stability=1.0, times=TIMES):
    weights = np.ones(len(numbers)) if weights is None else weights
    return steady_placements(numbers, times, weights, stability)


def test_numbers_are_the_placement():
    landmarks = Landmarks(*((0.3 * x + 0.1 * y + 40, 0.3 * y - 0.1 * x + 90)
                            for x, y in TEMPLATE.points))  # fmt: skip
    expected = place(landmarks, 512, 360, 640)
    numbers = placement_numbers(np.array([landmarks.points], np.float32))[0]
    found = placement_of(numbers, 360, 640)
    assert np.allclose(found.matrix, expected.matrix, atol=1e-4)
    assert np.allclose(landmarks_of(found).points, landmarks.points, atol=1e-3)


def test_angles_do_not_jump_on_their_way_round():
    turns = np.radians(np.linspace(150, 230, 20))
    template = np.array(TEMPLATE.points) - 256
    points = [template @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in turns]
    angles = placement_numbers(np.array(points, np.float32))[:, 3]
    assert abs(np.diff(angles)).max() < 0.2


def test_jitter_of_a_still_face_nearly_goes():
    before, after = track(np.zeros(75), 1.0), steady(track(np.zeros(75), 1.0))
    assert np.diff(after[:, 0]).std() < 0.1 * np.diff(before[:, 0]).std()


def test_smooth_motion_stays_and_does_not_lag():
    nod = 30 * np.sin(2 * np.pi * 1.0 * TIMES)
    after = steady(track(nod, 0.8))[:, 0]
    assert abs(after - nod)[8:-8].mean() < 1.0
    clean = steady(track(nod, 0.01))[:, 0]
    shifted = [abs(clean[9:-9] - np.roll(nod, shift)[9:-9]).mean() for shift in (-1, 0, 1)]
    assert shifted[1] < 0.2 * min(shifted[0], shifted[2])


def test_a_sudden_start_is_followed():
    start = np.maximum(0, TIMES - 1.5) * 200
    after = steady(track(start, 0.6))[:, 0]
    assert abs(after - start).max() < 3


def test_one_wrong_finding_does_not_pull():
    numbers = track(np.zeros(75), 0.3)
    numbers[30] += [25, 0, 0.2, 0.4]
    after = steady(numbers)
    assert abs(after[28:33, 0]).max() < 1.5
    assert abs(after[28:33, 3]).max() < 0.03


def test_filled_frames_do_not_count():
    numbers = track(np.zeros(75), 0.3)
    weights = np.ones(75)
    weights[30:36] = 0
    numbers[30:36, 0] = 50
    assert abs(steady(numbers, weights)[25:40, 0]).max() < 2


def test_smoothing_is_in_seconds_not_in_frames():
    slow, fast = np.arange(60) / 10, np.arange(360) / 60
    nods = [20 * np.sin(2 * np.pi * 0.7 * times) for times in (slow, fast)]
    for times, nod in zip((slow, fast), nods, strict=True):
        after = steady(track(nod, 0.5), times=times)[:, 0]
        assert abs(after - nod)[6:-6].mean() < 1.2


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_short_tracks_come_out_finite(count):
    assert np.isfinite(steady(track(np.zeros(count), 1.0), times=TIMES[:count])).all()


def test_no_stability_changes_nothing():
    numbers = track(np.zeros(75), 1.0)
    assert (steady(numbers, stability=0.0) == numbers).all()
