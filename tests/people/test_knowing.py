"""Each face is restored as the person whom reference photos, adapters, or both tell of."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from codeformer_core.metrics import IdentityNetwork
from codeformer_core.networks import CodeFormer
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people import Person
from codeformer_core.people.conditioning import Conditioning, save_conditioning
from codeformer_core.people.knowing import (
    References,
    with_conditioning,
    with_person,
    with_references,
)
from codeformer_core.people.recogniser import Whom
from codeformer_core.people.restorer import PeopleRestorer, Told, told
from tests.people.standins import adapter_for


@pytest.fixture
def conditioning(tiny_codeformer: CodeFormer) -> Conditioning:
    """Of random weights."""
    torch.manual_seed(3)
    network = ReferenceConditioning.of(tiny_codeformer.config, (16, 32))
    for modulation in network.sides.values():
        nn.init.normal_(modulation.get_parameter("out.weight"), std=0.1)
    return Conditioning.beside(tiny_codeformer, network.requires_grad_(False))


@pytest.fixture
def references() -> References:
    """Two people."""
    numbers = torch.Generator().manual_seed(4)
    people = (
        Person(torch.zeros(2, 8, 8, 3), torch.randn(2, 128, generator=numbers) / 8)
        for _ in range(2)
    )
    return References(tuple(people), IdentityNetwork())


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1


def drawn_as(*people: int) -> tuple[Whom, ...]:
    return tuple(Whom(reference=each) for each in people)


def test_a_persons_photos_reach_the_faces_of_that_person_alone(
    tiny_codeformer: CodeFormer, conditioning: Conditioning, references: References, crops: Tensor
) -> None:
    restorer = with_conditioning(tiny_codeformer, conditioning, references)
    plain = tiny_codeformer(crops, 0.5)
    assert torch.equal(told(restorer, drawn_as(0, 0, 0))(crops, 0.5), plain)
    assert torch.equal(restorer(crops, 0.5), plain)  # noise is nobody
    first, second = (told(restorer, drawn_as(0, who, 0))(crops, 0.5) for who in (1, 2))
    for restored in (first, second):
        torch.testing.assert_close(restored[[0, 2]], plain[[0, 2]])
        assert (restored[1] - plain[1]).abs().max() > 1e-3
    assert (first[1] - second[1]).abs().max() > 1e-3
    half = with_conditioning(tiny_codeformer, conditioning, references, 0.5)
    changes = [
        (told(each, drawn_as(1, 1, 1))(crops, 0.5) - plain).abs().mean()
        for each in (half, restorer)
    ]
    assert 0 < changes[0] < changes[1]


def test_any_number_type_will_do(
    tiny_codeformer: CodeFormer, conditioning: Conditioning, references: References, crops: Tensor
) -> None:
    known = with_conditioning(tiny_codeformer, conditioning, references)
    restorer = Told(known, drawn_as(1, 1, 1))
    codes = restorer.encode(crops)
    wanted = restorer.decode(codes, 1.0)
    for dtype in (torch.bfloat16, torch.float16):
        tiny_codeformer.to(dtype)
        restored = restorer.decode(codes, 1.0)
        torch.testing.assert_close(restored.float(), wanted, rtol=0, atol=0.1)
        assert restorer(crops, 1.0).dtype == crops.dtype
    known.bfloat16()  # with what it has learnt of people
    torch.testing.assert_close(restorer.decode(codes, 1.0).float(), wanted, rtol=0, atol=0.1)


def test_what_overflows_is_done_again_in_float32(
    tiny_codeformer: CodeFormer, conditioning: Conditioning, references: References, crops: Tensor
) -> None:
    nn.init.constant_(conditioning.network.get_parameter("sides.32.out.bias"), 1e5)
    known = with_conditioning(tiny_codeformer.half(), conditioning, references)
    with pytest.warns(RuntimeWarning, match="done again in float32"):
        assert told(known, drawn_as(1, 1, 1))(crops, 1.0).isfinite().all()


def test_the_conditioning_of_a_model_is_found_by_its_weights(
    tiny_codeformer: CodeFormer, conditioning: Conditioning, references: References, tmp_path: Path
) -> None:
    torch.manual_seed(9)
    other = CodeFormer(tiny_codeformer.config)
    folder = tmp_path / "facerestore_models"
    folder.mkdir()
    assert with_references(tiny_codeformer, references, folders=[tmp_path]) is tiny_codeformer
    save_conditioning(folder / "mine_references.safetensors", conditioning)
    found = with_references(tiny_codeformer, references, 0.7, folders=[tmp_path])
    assert isinstance(found, PeopleRestorer) and found.refinement
    assert found.refinement.strengths.tolist() == pytest.approx([0, 0.7, 0.7])
    assert with_references(other, references, folders=[tmp_path]) is other
    for nobody, strength in ((References((), references.identity), 1.0), (references, 0.0)):
        found = with_references(tiny_codeformer, nobody, strength, folders=[tmp_path])
        assert found is tiny_codeformer


def test_adapters_and_references_work_together(
    tiny_codeformer: CodeFormer, conditioning: Conditioning, references: References, crops: Tensor
) -> None:
    """Each face by its adapter's network, drawn as its reference person; nobody by the base."""
    anna, ben = (adapter_for(tiny_codeformer, seed) for seed in (0, 1))
    known = with_conditioning(
        with_person(with_person(tiny_codeformer, anna, by_likeness=True), ben, by_likeness=True),
        conditioning,
        references,
    )
    whom = (Whom(2, 1), Whom(), Whom(2), Whom(0, 2), Whom(1))
    faces, fidelity = crops[[0, 1, 2, 0, 1]], torch.tensor([0.0, 0.2, 0.4, 0.6, 0.8])
    together = Told(known, whom)(faces, fidelity)
    for place, each in enumerate(whom):
        network = (tiny_codeformer, *(a.apply(tiny_codeformer) for a in (anna, ben)))[each.adapter]
        alone = with_conditioning(network, conditioning, references)
        wanted = told(alone, drawn_as(each.reference))(faces[[place]], fidelity[[place]])
        torch.testing.assert_close(together[[place]], wanted)
    assert torch.equal(told(known, [Whom()] * 3)(crops, 0.5), tiny_codeformer(crops, 0.5))
    assert torch.equal(known(crops, 0.5), tiny_codeformer(crops, 0.5))  # noise is nobody
    # In the other order the same, and an adapter for all faces takes the place of the base.
    first = with_conditioning(tiny_codeformer, conditioning, references)
    again = with_person(with_person(first, anna, by_likeness=True), ben, by_likeness=True)
    assert torch.equal(told(again, whom)(faces, fidelity), together)
    everybody = told(with_person(first, ben), [Whom(0, 1)])(faces[:1], fidelity[:1])
    torch.testing.assert_close(everybody, together[:1])
