"""A fidelity for every face by itself."""

import pytest
import torch
from torch import Tensor

from codeformer_core.metrics import IdentityNetwork
from codeformer_core.people import Person, describe_crops
from codeformer_core.pipeline import decode_crops, encode_crops, restore_image, try_restore_crops
from codeformer_core.pipeline.automatic import LADDER, Automatic, best_steps
from codeformer_core.runtime import Runtime


@pytest.fixture(scope="module")
def automatic() -> Automatic:
    return Automatic(IdentityNetwork())


@pytest.fixture
def crops(astronaut) -> Tensor:
    """A face, the same one mirrored, and noise."""
    face = astronaut[40:210, 138:308][None]
    noise = torch.rand(1, 170, 170, 3, generator=torch.Generator().manual_seed(0))
    return torch.cat([face, face.flip(2), noise])


def test_likeness_that_is_lost_costs_more_than_a_higher_fidelity():
    """A face that no fidelity changes gets less than one that only the highest keeps."""
    same = torch.full((1, len(LADDER)), 0.5)
    falling = torch.linspace(1.0, 0.2, len(LADDER))[None]
    rising = torch.linspace(0.2, 1.0, len(LADDER))[None]
    steps = best_steps(torch.cat([same, falling, rising])).tolist()
    assert steps[2] < steps[0] < steps[1] == len(LADDER) - 1


def test_a_face_that_even_the_highest_changed_gets_a_higher_one():
    """Its input is damaged more, which says the same of every fidelity."""
    slightly, badly = best_steps(torch.tensor([[0.2], [0.9]]).expand(-1, len(LADDER)))
    assert slightly < badly


def test_pictures_that_are_not_finite_are_not_chosen(automatic, crops):
    pictures = torch.zeros(len(LADDER), 1, 3, 32, 32)
    pictures[-1, 0, 0, 0, 0] = torch.nan
    distances = automatic.distances(crops[:1], pictures, Runtime())
    assert distances.isinf().tolist() == [[False] * (len(LADDER) - 1) + [True]]
    assert best_steps(distances).item() != len(LADDER) - 1


def test_each_face_is_what_its_own_fidelity_gives(tiny_codeformer, automatic, crops):
    """In one batch or face by face, from crops or from codes."""
    chosen = try_restore_crops(tiny_codeformer, crops, automatic)
    assert len(chosen.fidelity) == len(crops)
    assert set(chosen.fidelity) <= set(LADDER)
    plain = try_restore_crops(tiny_codeformer, crops, chosen.fidelity)
    torch.testing.assert_close(chosen.crops, plain.crops, atol=1e-5, rtol=0)
    (note,) = (note for note in chosen.warnings if "fidelity" in note)
    assert note.endswith(", ".join(f"{fidelity:g}" for fidelity in chosen.fidelity))
    assert plain.fidelity == ()
    decoded = decode_crops(
        encode_crops(tiny_codeformer, crops), automatic, runtime=Runtime(batch_size=1)
    )
    assert decoded.fidelity == chosen.fidelity
    torch.testing.assert_close(decoded.crops, plain.crops, atol=1e-5, rtol=0)


def test_a_restorer_without_codes_is_asked_anew(tiny_codeformer, automatic, crops):
    """Such as one that gathers the faces of several pictures."""

    class Gathering:
        def __getattr__(self, name):
            return getattr(tiny_codeformer, name)

        def __call__(self, *arguments):
            return tiny_codeformer(*arguments)

    expected = try_restore_crops(tiny_codeformer, crops[:1], automatic)
    restored = try_restore_crops(Gathering(), crops[:1], automatic)
    assert restored.fidelity == expected.fidelity
    torch.testing.assert_close(restored.crops, expected.crops, atol=1e-5, rtol=0)


def test_known_people_are_compared_with_their_photos(automatic, crops, astronaut):
    """With noise for pictures only the reference stays what it is."""
    face = astronaut[40:210, 138:308][None]
    person = Person(face, describe_crops(face, automatic.identity))
    pictures = 2 * torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) - 1
    known = Automatic(automatic.identity, (person,)).distances(crops, pictures, Runtime())
    plain = automatic.distances(crops, pictures, Runtime())
    # The first face is the reference itself, the mirrored one is she too, noise is nobody.
    torch.testing.assert_close(known[0], plain[0])
    assert not torch.allclose(known[1], plain[1])
    assert torch.equal(known[2], plain[2])


def test_pictures_tell_the_fidelity_of_picked_faces(tiny_codeformer, automatic, astronaut):
    from codeformer_core.faces import YuNetDetector

    told = []
    result = restore_image(
        astronaut,
        tiny_codeformer,
        YuNetDetector(),
        fidelity=automatic,
        picked=[1],
        runtime=Runtime(lambda done, total: told.append(done / total)),
    )
    assert len(result.fidelity) == len(result.picked) == 1
    assert any(note.startswith("fidelity chosen") for note in result.warnings)
    assert told == sorted(told)
