"""Who is restored with the references, and what is said of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.faces import Faces, YuNetDetector
from codeformer_core.images import resize
from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people import Person, known_people
from codeformer_core.people.conditioning import Conditioning
from codeformer_core.people.knowing import References, with_conditioning, with_person
from codeformer_core.people.recogniser import Recogniser, Whom
from codeformer_core.people.restorer import PeopleRestorer
from codeformer_core.pipeline import restore_image, try_restore_crops
from codeformer_core.pipeline.automatic import Automatic
from codeformer_core.pipeline.codes import decode_crops, encode_crops
from codeformer_core.pipeline.recognition import Recognition, recognise, recognised
from codeformer_core.runtime import Runtime
from codeformer_core.video.frames import SteadyFrames
from tests.people.standins import adapter_for

HER = Whom(reference=1)


@pytest.fixture(scope="module")
def identity() -> IdentityNetwork:
    return IdentityNetwork()


@pytest.fixture
def her(astronaut: Tensor, identity: IdentityNetwork) -> Person:
    (person,) = known_people([astronaut], YuNetDetector(), identity)
    return person


@pytest.fixture
def restorer(tiny_codeformer: CodeFormer, her: Person, identity: IdentityNetwork) -> PeopleRestorer:
    network = ReferenceConditioning.of(tiny_codeformer.config, (16,))
    nn.init.normal_(network.get_parameter("sides.16.out.weight"), std=0.1)
    conditioning = Conditioning.beside(tiny_codeformer, network.requires_grad_(False))
    return with_conditioning(tiny_codeformer, conditioning, References((her,), identity))


def at(*places: float) -> Tensor:
    """Descriptors at places of a line."""
    return torch.nn.functional.pad(torch.tensor(places)[:, None], (0, 127))


def test_a_single_face_is_taken_for_the_only_person(identity: IdentityNetwork) -> None:
    anna, ben, carl = (Person(torch.zeros(1, 8, 8, 3), at(place)) for place in (0.0, 2.0, -2.0))

    def seen(*places: float, referred: tuple[Person, ...] = (anna,)) -> Recognition:
        return recognised(at(*places), Recogniser(identity, (carl,), 0.8, referred))

    def told(*people: int, **more: object) -> Recognition:
        whom = tuple(Whom(reference=each) for each in people)
        return replace(Recognition(whom, references=1, adapters=1), **more)

    assert seen(0.2) == told(1)
    assert seen(0.9) == told(1, is_sure=False)
    assert seen(0.9, 0.2) == told(0, 1)
    assert seen(0.9, 1.1) == told(0, 0)
    assert seen(1.0, referred=(anna, ben)) == told(0, references=2)
    assert seen(2.1, 0.1, referred=(anna, ben)) == told(2, 1, references=2)
    # Who surely is somebody with an adapter is not taken for somebody else.
    assert seen(-1.9) == Recognition((Whom(1),), references=1, adapters=1)


def test_known_faces_of_a_picture_are_restored_as_their_person(
    restorer: PeopleRestorer, astronaut: Tensor
) -> None:
    noise = torch.rand(200, 512, 3, generator=torch.Generator().manual_seed(0))
    picture, detector = torch.cat([astronaut, noise]), YuNetDetector()
    plain = restore_image(picture, restorer.base, detector)
    known = restore_image(picture, restorer, detector)
    assert known.warnings == ("restored with the references: face 1", *plain.warnings)
    assert (known.image - plain.image).abs().max() > 1e-3
    recogniser = restorer.recogniser
    automatic = Automatic(recogniser.identity, recogniser.referred)
    chosen = restore_image(picture, restorer, detector, fidelity=automatic)
    again = restore_image(picture, restorer, detector, fidelity=chosen.fidelity)
    torch.testing.assert_close(chosen.image, again.image, atol=1e-5, rtol=0)


def test_of_several_unknown_faces_none_is(restorer: PeopleRestorer) -> None:
    crops = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    result = try_restore_crops(restorer, crops)
    assert result.warnings == (
        "restored without the references: no face surely looks like whom they show",
    )
    torch.testing.assert_close(result.crops, try_restore_crops(restorer.base, crops).crops)
    (note,) = try_restore_crops(restorer, crops[:1]).warnings
    assert "restored with the references: face 1, the only one, although" in note


def test_a_face_that_is_followed_is_one_person(restorer: PeopleRestorer, astronaut: Tensor) -> None:
    """Sure in some frames and not in others, it would flicker."""
    frames = torch.stack([astronaut, 0.02 * astronaut, astronaut])
    found = YuNetDetector().detect(astronaut[None])
    (face,) = found.frames[0]
    tracked = Faces(((replace(face, track=1),),) * 3, found.height, found.width)
    assert recognise(restorer, frames, tracked, Runtime()).whom == (HER,) * 3
    alone = Faces(((face,),) * 3, found.height, found.width)
    assert recognise(restorer, frames, alone, Runtime()).whom == (HER, Whom(), HER)
    steady = SteadyFrames()
    first = restore_image(frames, restorer, faces=alone, steady=steady)
    assert first.warnings[0] == "restored with the references: face 1, face 2, face 3"
    # Of two who cannot be told apart from anybody, one was known in the window before.
    two = tuple(replace(face, track=track) for track in (1, 2))
    both, dark = Faces((two,) * 3, found.height, found.width), 0.02 * frames
    assert recognise(restorer, dark, both, Runtime()).whom == (Whom(),) * 6
    later = SteadyFrames(past=replace(steady.past, whom={1: HER}))
    assert later.recognise(restorer, dark, both, Runtime()).whom == (HER, Whom()) * 3
    assert later.past.whom == {1: HER, 2: Whom()}


def test_codes_are_decoded_as_the_people_as_whom_faces_are_restored(
    restorer: PeopleRestorer, her: Person, astronaut: Tensor
) -> None:
    """Encoded before anybody knows of references; an adapter goes before them."""
    face = resize(astronaut[None, 40:210, 138:308], 64, 64)
    faces = torch.cat([face, face.flip(1)])  # upside down it is nobody
    hers = replace(adapter_for(restorer.base), descriptors=her.descriptors)
    for model in (restorer.base, with_person(restorer.base, hers, by_likeness=True)):
        networks = model.networks if isinstance(model, PeopleRestorer) else ()
        known = PeopleRestorer(
            restorer.base,
            replace(restorer.recogniser, adapted=(her,) * len(networks)),
            networks,
            restorer.refinement,
        )
        encoded = encode_crops(model, faces)
        decoded = decode_crops(replace(encoded, network=known), 0.7)
        wanted, plain = (try_restore_crops(each, faces, 0.7) for each in (known, model))
        notes = ("restored with the references: face 1",)
        if networks:
            notes = (
                "restored with the personal adapter: face 1",
                "restored without the references: no other face surely looks like whom they show",
            )
        assert decoded.warnings == wanted.warnings == notes
        torch.testing.assert_close(decoded.crops, wanted.crops, atol=1e-5, rtol=0)
        torch.testing.assert_close(decoded.crops[1], plain.crops[1], atol=1e-5, rtol=0)
        assert bool((decoded.crops[0] - plain.crops[0]).abs().max() > 1e-3) != bool(networks)
        again = decode_crops(encoded, 0.7)
        torch.testing.assert_close(again.crops, plain.crops, atol=1e-5, rtol=0)
