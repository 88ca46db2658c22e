"""Learning one person from a few photos."""

import dataclasses
import threading

import pytest
import torch

from codeformer_core.checkpoints import save_network
from codeformer_core.errors import CheckpointError, SettingError
from codeformer_core.models import load_network
from codeformer_core.people import Person
from codeformer_core.people.adapters import read_adapter, save_adapter
from codeformer_core.training.config import LossWeights
from codeformer_core.training.personal import Look, PersonalSettings, stopped
from codeformer_core.training.personalize import personalize
from codeformer_core.training.portraits import Portraits, bent

QUICK = PersonalSettings(
    rank=2, steps=4, batch_size=2, others_share=0.5, check_every=2, warm_up=1,
    looks=1, losses=LossWeights(perceptual=0.0),
)  # fmt: skip
PIXELS = LossWeights(perceptual=0.0, identity=0.0)


@pytest.fixture
def person(astronaut) -> Person:
    face = astronaut[40:210, 138:308]
    photos = torch.stack([face, face.flip(1), 0.7 * face])
    return Person(photos, torch.zeros(3, 128))


def same(first, second) -> bool:
    return all(
        torch.equal(first.changes[name].up, second.changes[name].up) for name in first.changes
    )


@pytest.mark.parametrize("file", ["safetensors_file", "archive_file"])
def test_files_of_every_layout_can_learn_a_person(file, person, request, tmp_path):
    """Ours, and the published one; the adapter then fits the model that is loaded from it."""
    base = request.getfixturevalue(file)
    looks: list[Look] = []
    adapter = personalize(base, person, settings=QUICK, on_look=looks.append)
    assert [look.step for look in looks] == [0, 2, 4]
    assert adapter.metadata["base"] == "tiny"
    assert adapter.metadata["photos"] == "3"
    read = read_adapter(save_adapter(tmp_path / "anna.safetensors", adapter))
    network = load_network(base)
    crops = 2 * person.crops[:1].movedim(-1, 1)[..., :64, :64] - 1
    read.apply(network)(crops)


def test_learning_lowers_the_loss_on_the_person(safetensors_file, person):
    """What is kept is never worse on the held-back photo than the base model."""
    settings = dataclasses.replace(
        QUICK, steps=12, check_every=6, learning_rate=5e-3, losses=PIXELS
    )
    looks: list[Look] = []
    personalize(safetensors_file, person, settings=settings, on_look=looks.append)
    assert min(look.score for look in looks[1:]) < looks[0].score


def test_a_run_goes_on_as_if_it_had_not_been_broken_off(safetensors_file, person, tmp_path):
    settings = dataclasses.replace(QUICK, steps=6, patience=9, losses=PIXELS)
    whole = personalize(safetensors_file, person, settings=settings, folder=tmp_path / "a")

    class Broken(Exception):
        pass

    def break_off(look: Look) -> None:
        if look.step == 4:
            raise Broken

    folder = tmp_path / "b"
    with pytest.raises(Broken):
        personalize(safetensors_file, person, settings=settings, folder=folder, on_look=break_off)
    steps: list[int] = []
    again = personalize(
        safetensors_file, person, settings=settings, folder=folder,
        on_look=lambda look: steps.append(look.step),
    )  # fmt: skip
    assert steps == [4, 6]
    assert same(whole, again)


def test_no_run_goes_on_as_another_ones(safetensors_file, person, tmp_path):
    """Not with other photos, as many of them, nor beside another model or other people."""
    folder, stop = tmp_path / "run", threading.Event()
    stop.set()

    def learn(base=safetensors_file, person=person, settings=QUICK, others=None):
        personalize(base, person, settings=settings, others=others, folder=folder, stop=stop)

    learn()
    learn(person=Person(person.crops, person.descriptors + 1e-3))  # another device
    somebody = Person(person.crops, person.descriptors + 0.05)
    copy, other_base = load_network(safetensors_file), tmp_path / "other.safetensors"
    copy.position_emb.data += 1
    save_network(other_base, copy)
    for changes, what in (
        ({"person": somebody}, "photos"),
        ({"base": other_base}, "base"),
        ({"settings": dataclasses.replace(QUICK, rank=3)}, "settings"),
        ({"others": person.crops}, "others"),
    ):
        with pytest.raises(CheckpointError, match=f"another run .with other {what}.; choose"):
            learn(**changes)


def test_it_stops_when_asked_and_without_progress(safetensors_file, person):
    stop = threading.Event()
    stop.set()
    looks: list[Look] = []
    adapter = personalize(safetensors_file, person, settings=QUICK, stop=stop, on_look=looks.append)
    assert [look.step for look in looks] == [0]
    assert all(not change.up.any() for change in adapter.changes.values())
    scores = [Look(step, 0.0, score) for step, score in enumerate((3.0, 1.0, 2.0, 2.0))]
    assert stopped(scores, 2)
    assert not stopped(scores, 3)


def test_faces_of_others_take_the_place_of_bent_ones(safetensors_file, person):
    """Held to what it was on other faces, it learns something else."""
    settings = dataclasses.replace(QUICK, steps=2, others_share=0.5, losses=PIXELS)
    others = torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(4))
    bent_ones = personalize(safetensors_file, person, settings=settings)
    real_ones = personalize(safetensors_file, person, others=others, settings=settings)
    assert not same(bent_ones, real_ones)


def test_too_few_photos_are_refused(safetensors_file, person):
    two = Person(person.crops[:2], person.descriptors[:2])
    with pytest.raises(SettingError, match="there are 2 photos: 3 to 20 are needed"):
        personalize(safetensors_file, two, settings=QUICK)


def test_bent_faces_are_other_faces_in_the_same_light(astronaut):
    face = astronaut[40:210, 138:308].movedim(-1, 0)[None]
    one, other = bent(face.expand(2, -1, -1, -1), torch.tensor([[0.1, 0.0], [0.9, 0.0]]))
    assert (one - other).abs().mean() > 0.02
    assert (one - face[0]).abs().mean() > 0.02
    assert one.mean() == pytest.approx(float(face.mean()), abs=0.1)
    again = bent(face, torch.tensor([[0.1, 0.0]]))[0]
    torch.testing.assert_close(one, again)


def test_portraits_are_what_batches_are_made_of():
    import numpy as np

    portraits = Portraits(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 8, 8, 3))
    assert portraits.size == 8
    taken = portraits.take(np.array([1, 0, 1]), torch.device("cpu"))
    assert taken[:, 0, 0, 0].tolist() == [255, 0, 255]
