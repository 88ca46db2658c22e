"""`codeformer personalize`, and `restore --person` with what it makes."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from codeformer_core.cli import main
from codeformer_core.images import read_picture
from codeformer_core.training import personalize
from codeformer_core.training.config import LossWeights
from codeformer_core.training.personal import PersonalSettings


@pytest.fixture
def photos(tmp_path, astronaut, monkeypatch) -> list[str]:
    """Three photos of one person, to be learnt in a few quick steps."""
    losses = LossWeights(perceptual=0.0, identity=0.0)
    quick = PersonalSettings(
        rank=2, steps=4, batch_size=2, looks=1, check_every=2, learning_rate=1e-2, losses=losses
    )
    monkeypatch.setattr(personalize, "PersonalSettings", lambda: quick)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    pictures = (astronaut, astronaut.flip(1), 0.7 * astronaut)
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray((pixels * 255).byte().numpy()).save(path)
    return [str(path) for path in paths]


def run(*words: object) -> int:
    return main([*map(str, words), "--device", "cpu"])


def restored(folder: Path, photo: str, *words: object) -> torch.Tensor:
    assert run("restore", photo, "-o", folder, "--dtype", "float32", *words) == 0
    return read_picture(folder / Path(photo).name).pixels


def test_a_person_is_learnt_and_known_again(photos, model, tmp_path, capsys):
    anna = tmp_path / "anna.safetensors"
    learning = ("personalize", *photos, "--model", model, "--detector", "yunet", "--out", anna)
    assert run(*learning) == 0
    printed = capsys.readouterr().out
    assert "step 4: identity distance of the photos held back" in printed
    assert str(anna) in printed
    assert not anna.with_suffix(".run").exists()
    assert main(["inspect", str(anna)]) == 0
    assert "a personal adapter: use it with Apply Person or --person" in capsys.readouterr().out
    plain = restored(tmp_path / "a", photos[0], "--model", model)
    whole = restored(tmp_path / "b", photos[0], "--model", model, "--person", anna)
    none = restored(
        tmp_path / "c", photos[0], "--model", model, "--person", anna, "--person-strength", 0
    )
    assert torch.equal(none, plain)
    assert not torch.equal(whole, plain)
    assert run("restore", photos[0], "-o", tmp_path / "d", "--person", anna) == 1
    assert "anna was made for tiny, not for this model (" in capsys.readouterr().err


def test_photos_of_several_people_and_too_few_are_refused(photos, model, tmp_path, capsys):
    out = ("--model", model, "--detector", "yunet", "--out", tmp_path / "x.safetensors")
    assert run("personalize", *photos[:2], *out) == 1
    assert "there are 2 photos: 3 to 20 are needed" in capsys.readouterr().err
    assert run("personalize", *photos, "--model", model, "--out", tmp_path / "x.pth") == 1
    assert "written as .safetensors" in capsys.readouterr().err
