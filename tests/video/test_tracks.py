"""Who is who from frame to frame."""

import numpy as np
import pytest

from codeformer_core.faces import TEMPLATE, Box, Face, Landmarks, place
from codeformer_core.video.people import number_people
from codeformer_core.video.tracks import Findings, track_faces

RATE = 25


def face(x, y, size=60.0, score=0.9):
    """A face of so many pixels around a place in a picture of 640 x 360."""
    scale = size / 256
    landmarks = Landmarks(
        *((x + (a - 256) * scale, y + (b - 290) * scale) for a, b in TEMPLATE.points)
    )
    half = size / 2
    box = Box(x - half, y - half, x + half, y + half)
    return Face(box, score, landmarks, place(landmarks, 512, 360, 640))


def person(seed):
    """A descriptor of unit length, as far from others as those of two people are."""
    vector = np.random.default_rng(seed).normal(size=128)
    return (0.7 * vector / np.linalg.norm(vector)).astype(np.float32)


def follow(frames, describe=None, cuts=(), rate=RATE):
    """Track lists of faces; `describe` gives a descriptor for (frame, place)."""
    findings = Findings()
    for index, faces in enumerate(frames):
        known = {at: describe(index, at) for at in range(len(faces))} if describe else None
        findings.add_frame(faces, descriptors=known)
    return track_faces(findings, [index / rate for index in range(len(frames))], cuts)


def middle(track, index):
    """Where a track is in a frame."""
    return track.points[index - track.start].mean(0)


def test_a_moving_face_is_one_track():
    tracks = follow([[face(100 + 5 * index, 150)] for index in range(40)])
    assert [(track.start, track.stop) for track in tracks] == [(0, 40)]
    assert tracks[0].begins_shot and tracks[0].ends_shot


@pytest.mark.parametrize(("missing", "tracks"), [(9, 1), (11, 2)])
def test_gaps_are_filled_up_to_four_tenths_of_a_second(missing, tracks):
    frames = [[face(100 + 2 * index, 150)] for index in range(40)]
    for index in range(15, 15 + missing):
        frames[index] = []
    found = follow(frames)
    assert len(found) == tracks
    if tracks == 1:
        assert middle(found[0], 20)[0] == pytest.approx(middle(found[0], 0)[0] + 40, abs=0.5)
        assert found[0].scores[20] == 0
    else:
        assert found[0].stop == 15 and found[1].start == 15 + missing
        assert not found[0].ends_shot and not found[1].begins_shot


def test_a_cut_ends_all_tracks():
    tracks = follow([[face(100, 150)]] * 30, cuts=[12])
    assert [(track.start, track.stop) for track in tracks] == [(0, 12), (12, 30)]
    assert all(track.begins_shot and track.ends_shot for track in tracks)


def test_a_face_of_another_size_is_another_face():
    frames = [[face(100, 150, 40)]] * 10 + [[face(100, 150, 160)]] * 10
    assert len(follow(frames)) == 2


def test_a_face_found_in_one_frame_is_a_mistake():
    frames = [[face(100, 150)] for _ in range(20)]
    frames[7] = [*frames[7], face(400, 200)]
    assert len(follow(frames)) == 1


def test_a_single_frame_keeps_its_face():
    assert len(follow([[face(100, 150)]])) == 1


def crossing(index):
    """Two people who pass each other on nearly the same line."""
    left, right = face(150 + 8 * index, 150), face(490 - 8 * index, 158)
    return sorted([left, right], key=lambda each: each.box.centre)


@pytest.mark.parametrize("described", [False, True])
def test_people_who_cross_keep_their_tracks(described):
    frames = [crossing(index) for index in range(43)]

    def describe(index, at):
        first = 150 + 8 * index < 490 - 8 * index
        return person(1 if (at == 0) == first else 2)

    tracks = follow(frames, describe if described else None)
    assert len(tracks) == 2
    ends = {tuple(np.sign(middle(each, 42) - middle(each, 0))[:1]) for each in tracks}
    assert ends == {(1.0,), (-1.0,)}


def test_people_who_turn_back_are_told_apart_by_their_descriptors():
    """Both stop where they meet and walk back: by place and speed alone they would be swapped."""

    def way(index):
        return 8 * min(index, 40 - index)

    frames = []
    for index in range(41):
        pair = [face(150 + way(index), 150), face(490 - way(index), 152)]
        frames.append(sorted(pair, key=lambda each: each.box.centre))
    tracks = follow(frames, lambda index, at: person(1 + at))
    assert len(tracks) == 2
    for track in tracks:
        assert middle(track, 40)[0] == pytest.approx(middle(track, 0)[0], abs=20)


def test_a_face_behind_another_comes_back_as_itself():
    frames = [crossing(index) for index in range(43)]
    for index in range(19, 25):
        frames[index] = frames[index][:1]  # the other is hidden

    def describe(index, at):
        if 19 <= index < 25:
            return person(1) if 150 + 8 * index < 490 - 8 * index else person(2)
        first = 150 + 8 * index < 490 - 8 * index
        return person(1 if (at == 0) == first else 2)

    tracks = follow(frames, describe)
    assert len(tracks) == 2
    assert all(len(track.scores) == 43 for track in tracks)


def test_tracks_of_one_person_get_one_number():
    frames = [[face(100, 150)]] * 30 + [[]] * 15 + [[face(500, 150)]] * 20
    known = {0: person(1), 45: person(1) + 0.01}
    tracks = follow(frames, lambda index, at: known.get(index, person(1)))
    assert number_people(tracks) == [1, 1]
    others = follow(frames, lambda index, at: person(1 if index < 30 else 2))
    assert number_people(others) == [1, 2]


def test_two_who_are_seen_at_once_are_two_people():
    tracks = follow([[face(100, 150), face(400, 150)]] * 20, lambda index, at: person(1))
    assert sorted(number_people(tracks)) == [1, 2]
