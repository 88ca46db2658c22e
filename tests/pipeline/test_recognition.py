"""Who is restored with the references, and what is said of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.faces import Faces, YuNetDetector
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people import Person, known_people
from codeformer_core.people.conditioning import Conditioning
from codeformer_core.people.reference_restorer import ReferenceRestorer, References
from codeformer_core.pipeline import restore_image, try_restore_crops
from codeformer_core.pipeline.automatic import Automatic
from codeformer_core.pipeline.recognition import Recognition, recognise, recognised
from codeformer_core.runtime import Runtime
from codeformer_core.video.frames import SteadyFrames


@pytest.fixture(scope="module")
def identity() -> IdentityNetwork:
    return IdentityNetwork()


@pytest.fixture
def her(astronaut: Tensor, identity: IdentityNetwork) -> Person:
    (person,) = known_people([astronaut], YuNetDetector(), identity)
    return person


@pytest.fixture
def restorer(
    tiny_codeformer: CodeFormer, her: Person, identity: IdentityNetwork
) -> ReferenceRestorer:
    network = ReferenceConditioning.of(tiny_codeformer.config, (16,))
    nn.init.normal_(network.get_parameter("sides.16.out.weight"), std=0.1)
    conditioning = Conditioning.beside(tiny_codeformer, network.requires_grad_(False))
    return ReferenceRestorer(tiny_codeformer, conditioning, References((her,), identity))


def at(*places: float) -> Tensor:
    """Descriptors at places of a line."""
    return torch.nn.functional.pad(torch.tensor(places)[:, None], (0, 127))


def test_a_single_face_is_taken_for_the_only_person() -> None:
    anna, ben = (Person(torch.zeros(1, 8, 8, 3), at(place)) for place in (0.0, 2.0))
    assert recognised(at(0.2), [anna]) == Recognition((1,))
    assert recognised(at(0.9), [anna]) == Recognition((1,), is_sure=False)
    assert recognised(at(0.9, 0.2), [anna]) == Recognition((0, 1))
    assert recognised(at(0.9, 1.1), [anna]) == Recognition((0, 0))
    assert recognised(at(1.0), [anna, ben]) == Recognition((0,), several=True)
    assert recognised(at(2.1, 0.1), [anna, ben]) == Recognition((2, 1), several=True)


def test_known_faces_of_a_picture_are_restored_as_their_person(
    restorer: ReferenceRestorer, astronaut: Tensor
) -> None:
    noise = torch.rand(200, 512, 3, generator=torch.Generator().manual_seed(0))
    picture, detector = torch.cat([astronaut, noise]), YuNetDetector()
    plain = restore_image(picture, restorer.base, detector)
    known = restore_image(picture, restorer, detector)
    assert known.warnings == ("restored with the references: face 1", *plain.warnings)
    assert (known.image - plain.image).abs().max() > 1e-3
    automatic = Automatic(restorer.references.identity, restorer.references.people)
    chosen = restore_image(picture, restorer, detector, fidelity=automatic)
    again = restore_image(picture, restorer, detector, fidelity=chosen.fidelity)
    torch.testing.assert_close(chosen.image, again.image, atol=1e-5, rtol=0)


def test_of_several_unknown_faces_none_is(restorer: ReferenceRestorer) -> None:
    crops = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    result = try_restore_crops(restorer, crops)
    assert result.warnings == (
        "restored without the references: no face surely looks like whom they show",
    )
    torch.testing.assert_close(result.crops, try_restore_crops(restorer.base, crops).crops)
    (note,) = try_restore_crops(restorer, crops[:1]).warnings
    assert "restored with the references: face 1, the only one, although" in note


def test_a_face_that_is_followed_is_one_person(
    restorer: ReferenceRestorer, astronaut: Tensor
) -> None:
    """Sure in some frames and not in others, it would flicker."""
    frames = torch.stack([astronaut, 0.02 * astronaut, astronaut])
    found = YuNetDetector().detect(astronaut[None])
    (face,) = found.frames[0]
    tracked = Faces(((replace(face, track=1),),) * 3, found.height, found.width)
    assert recognise(restorer, frames, tracked, Runtime()).whom == (1, 1, 1)
    alone = Faces(((face,),) * 3, found.height, found.width)
    assert recognise(restorer, frames, alone, Runtime()).whom == (1, 0, 1)
    steady = SteadyFrames()
    first = restore_image(frames, restorer, faces=alone, steady=steady)
    assert first.warnings[0] == "restored with the references: face 1, face 2, face 3"
    # Of two who cannot be told apart from anybody, one was known in the window before.
    two = tuple(replace(face, track=track) for track in (1, 2))
    both, dark = Faces((two,) * 3, found.height, found.width), 0.02 * frames
    assert not any(recognise(restorer, dark, both, Runtime()).whom)
    later = SteadyFrames(past=replace(steady.past, whom={1: 1}))
    assert later.recognise(restorer, dark, both, Runtime()).whom == (1, 0) * 3
    assert later.past.whom == {1: 1, 2: 0}
