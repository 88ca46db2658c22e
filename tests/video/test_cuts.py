"""Cuts are found, motion and flashes are none; PySceneDetect agrees."""

import numpy as np
import pytest
import torch

from codeformer_core.video.cuts import CutFinder
from tests.video.clips import Clip

SIZE = (72, 128)


def texture(seed):
    """A picture with structure at all sizes, (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    picture = np.zeros((*SIZE, 3))
    for block in (4, 12, 36):
        coarse = random.uniform(0, 255, (SIZE[0] // block + 1, SIZE[1] // block + 1, 3))
        picture += np.kron(coarse, np.ones((block, block, 1)))[: SIZE[0], : SIZE[1]]
    return (picture / 3).astype(np.uint8)


def pan(picture, index):
    return np.roll(picture, 3 * index, 1)


def film(index):
    """Three shots, the middle one panned, with a flash in the third."""
    if index < 20:
        return texture(1)
    if index < 45:
        return pan(texture(2), index)
    if index == 60:
        return np.full((*SIZE, 3), 250, np.uint8)
    return texture(3)


def cuts_of(frames):
    finder = CutFinder()
    for frame in frames:
        finder.add(torch.from_numpy(frame).float() / 255)
    return finder.cuts()


def test_cuts_are_found_and_nothing_else():
    assert cuts_of([film(index) for index in range(80)]) == [20, 45]


def test_noise_is_no_cut():
    random = np.random.default_rng(0)
    noisy = [
        (texture(1) + random.normal(0, 20, (*SIZE, 3))).clip(0, 255).astype(np.uint8)
        for _ in range(20)
    ]
    assert cuts_of(noisy) == []


def test_nothing_is_cut_in_clips_of_a_frame_or_none():
    assert cuts_of([]) == cuts_of([texture(1)]) == []


def test_an_independent_finder_agrees(tmp_path):
    scenedetect = pytest.importorskip("scenedetect")

    def steady(index):
        return film(index if index != 60 else 61)  # it takes a flash for a shot

    path = Clip(*SIZE, count=80, paint=steady).write(tmp_path / "film.mp4")
    scenes = scenedetect.detect(str(path), scenedetect.ContentDetector(min_scene_len=5))
    theirs = [int(start.frame_num) for start, _ in scenes[1:]]
    assert theirs == cuts_of([steady(index) for index in range(80)])
