"""Training the conditioning on reference photos."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from codeformer_core.checkpoints import save_network
from codeformer_core.degradation import BatchRandom
from codeformer_core.errors import SettingError
from codeformer_core.networks import CodeFormer
from codeformer_core.people.conditioning import read_conditioning
from codeformer_core.training.albums import Album, ReferenceSettings, split_people
from codeformer_core.training.config import RunConfig
from codeformer_core.training.loop import Trainer
from codeformer_core.training.packing import Note, pack_faces
from codeformer_core.training.sources import FaceSet, find_pictures

CPU = torch.device("cpu")
PEOPLE = ("1", "1", "1", "", "", "5", "5", "10")
"""Of the eight faces."""
SETTINGS = ReferenceSettings(sides=(8, 16), strangers=0.0, looks=2)


@pytest.fixture
def packed(face_folder: Path, tmp_path: Path) -> Path:
    notes = {f"{n}.png": Note(person=person) for n, person in enumerate(PEOPLE)}
    pack_faces(face_folder, notes, tmp_path / "packed", size=32, quality=90, weights={})
    return tmp_path / "packed"


def test_people_are_kept_apart_and_those_with_several_photos_come_more_often(packed: Path) -> None:
    training, held = split_people(find_pictures(packed), replace(SETTINGS, several_share=0.75), 32)
    assert [picture.person for picture in training] == ["1", "1", "1", "", ""]
    assert [picture.person for picture in held] == ["5", "5"]
    weights = [picture.weight for picture in training]
    assert sum(weights[:3]) == pytest.approx(3 * sum(weights[3:]))


def test_a_face_is_described_by_other_photos_of_its_person(packed: Path) -> None:
    faces = FaceSet(find_pictures(packed), 32)
    album = Album(faces, SETTINGS, 0, CPU)
    # Descriptors that tell of which photo and look they are.
    photos = torch.arange(8.0)[:, None, None].expand(-1, 2, 1)
    album.descriptors = torch.cat([photos, torch.eye(2).expand(8, -1, -1)], 2)
    indices = np.repeat(np.array([0, 3, 5]), 200)
    random = BatchRandom((0, 1), len(indices), range(len(indices)), CPU)
    drawn = album.draw(indices, random)
    photo, looks = drawn[:, 0].view(3, -1), drawn[:, 1:]
    assert photo[0].min() == 1 and photo[0].max() == 2
    assert ((photo[0] > 1) & (photo[0] < 2)).any(), "means of several"
    assert photo[1].eq(3).all(), "its own looks, where no other photo is known"
    assert photo[2].eq(6).all()
    torch.testing.assert_close(looks.sum(1), torch.ones(len(looks)))
    album.settings = replace(SETTINGS, strangers=1.0)
    random = BatchRandom((0, 1), len(indices), range(len(indices)), CPU)
    assert len(album.draw(indices, random)[:, 0].unique()) > 6


def test_the_conditioning_alone_learns_and_is_saved_beside_its_base(
    packed: Path, tmp_path: Path, run_config: Callable[..., RunConfig]
) -> None:
    config = run_config(
        stage=3, data=str(packed), references=SETTINGS, start_from="", steps=4, log_every=1
    )
    config = replace(config, losses=replace(config.losses, adversarial=0.0, identity=1.0))
    base = save_network(tmp_path / "base.safetensors", CodeFormer(config.model))
    config = replace(config, start_from=str(base))
    half = Trainer(replace(config, steps=2), tmp_path / "refs")
    assert half.run() and {"identity own photos", "identity a stranger's"} <= set(half.scores)
    trainer = Trainer(config, tmp_path / "refs")
    before = {name: each.clone() for name, each in trainer.stage.state_dict().items()}
    assert trainer.step == 2 and trainer.run()
    after = trainer.stage.state_dict()
    changed = {name.partition(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"network"}
    found = read_conditioning(tmp_path / "refs" / "weights.safetensors")
    assert found.metadata["base"] == "base"
    found.check(trainer.stage.base)
    assert found.network.get_parameter("sides.16.out.weight").abs().sum() > 0
    assert not any(name.startswith("base.") for name in trainer.stage.state())
    more = replace(SETTINGS, start_from=str(tmp_path / "refs" / "weights.safetensors"))
    next_run = Trainer(replace(config, references=more), tmp_path / "more").stage.network
    for name, learnt in found.network.state_dict().items():
        assert next_run.state_dict()[name].equal(learnt), name
    with pytest.raises(SettingError, match="changes other features"):
        Trainer(replace(config, references=replace(more, sides=(8,))), tmp_path / "other")
