"""Who is who, by descriptors of reference photos."""

import pytest
import torch
from torch import Tensor

from codeformer_core.errors import PictureError
from codeformer_core.faces import Faces, YuNetDetector, crop_faces
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.people import (
    Person,
    describe_crops,
    known_people,
    match_faces,
    match_people,
    places_of,
)
from codeformer_core.people.matching import EVEN


@pytest.fixture(scope="module")
def identity() -> IdentityNetwork:
    return IdentityNetwork()


def somebody(*places: float) -> Person:
    """A person whose photos' descriptors lie at some places along one direction."""
    descriptors = torch.zeros(len(places), 128)
    descriptors[:, 0] = torch.tensor(places)
    return Person(torch.zeros(len(places), 4, 4, 3), descriptors)


def at(*places: float) -> Tensor:
    return somebody(*places).descriptors


def test_a_face_is_whom_it_is_nearest_to():
    people = [somebody(0.0, 0.2), somebody(1.0)]
    first, second, between, far = match_people(at(0.1, 0.95, 0.55, 3.0), people)
    assert (first.person, second.person) == (1, 2)
    assert first.distance == pytest.approx(0.1)
    assert min(first.sureness, second.sureness) > 0.99
    # As near to both, it is one of them for sure, but which?
    assert 0.4 < between.sureness < 0.6
    assert far.sureness < 0.01


def test_even_odds_are_where_they_were_measured():
    (match,) = match_people(at(EVEN), [somebody(0.0)])
    assert match.sureness == pytest.approx(0.5, abs=1e-3)


def test_places_are_those_of_the_person_who_is_sure_enough():
    matches = match_people(at(0.0, 1.0, 0.5, 2.0), [somebody(0.0), somebody(1.0)])
    assert places_of(matches) == {0, 1}
    assert places_of(matches, person=2) == {1}
    assert places_of(matches, least_sureness=0.4) == {0, 1, 2}


def test_photos_of_one_person_are_put_together(astronaut, identity):
    """The mirrored and darkened portrait is the same woman; a photo without a face is named."""
    photos = [astronaut, astronaut.flip(1), 0.6 * astronaut]
    (person,) = known_people(photos, YuNetDetector(), identity)
    assert person.crops.shape == (3, 512, 512, 3)
    assert person.descriptors.shape == (3, 128)
    with pytest.raises(PictureError, match="reference photo 2"):
        known_people([astronaut, torch.zeros(64, 64, 3)], YuNetDetector(), identity)


def test_a_face_is_found_among_pictures(astronaut, identity):
    detector = YuNetDetector()
    person = known_people([astronaut], detector, identity)
    frames = torch.stack([torch.zeros_like(astronaut), 0.8 * astronaut])
    faces = detector.detect(frames)
    (match,) = match_faces(frames, faces, person, identity)
    assert match.sureness > 0.95
    assert match_faces(frames[:1], Faces(((),), 512, 512), person, identity) == ()


def test_descriptors_are_the_networks_own(astronaut, identity):
    frames = astronaut[None]
    crops = crop_faces(frames, YuNetDetector().detect(frames), 200)
    torch.testing.assert_close(describe_crops(crops, identity), identity.embed(crops))
