"""Options that the nodes have too do on the command line what they do there."""

import argparse
import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from PIL import Image

from codeformer_core.cli import main, restore
from codeformer_core.cli.node_options import OPTIONS, Option
from codeformer_core.errors import MissingModelError
from codeformer_core.faces import Box, Face, Faces, Landmarks, place
from codeformer_core.images import read_picture
from codeformer_core.networks.references import ReferenceConditioning
from codeformer_core.people.conditioning import Conditioning, save_conditioning

SIDE = 192
PLACES = (48, 144)
"""Columns of the noses of the two faces in every picture."""


class TwoFaces:
    """A detector that finds the same two faces in every picture."""

    name = "two faces"

    def detect(self, frames, *, confidence=0.8, min_size=16, search_size=None, runtime=None):
        self.search_size = search_size
        height, width = frames.shape[1:3]
        faces = tuple(self._face(column, height, width) for column in PLACES)
        return Faces((faces,) * len(frames), height, width)

    def _face(self, column: int, height: int, width: int) -> Face:
        points = ((-10, -8), (10, -8), (0, 2), (-8, 14), (8, 14))
        landmarks = Landmarks(*((column + across, 96 + down) for across, down in points))
        box = Box(column - 16, 76, column + 16, 116)
        return Face(box, 1.0, landmarks, place(landmarks, 64, height, width), 0)


@pytest.fixture
def photo(tmp_path, astronaut) -> Path:
    pixels = (astronaut[32 : 32 + SIDE, 128 : 128 + SIDE] * 255).byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.fixture
def run(monkeypatch, model, tmp_path, photo) -> Callable[..., tuple[torch.Tensor, str]]:
    """The restored picture and what was printed."""
    monkeypatch.setattr(restore, "load_face_detector", lambda options: TwoFaces())

    def run(*arguments: str) -> tuple[torch.Tensor, str]:
        words = [str(photo), "-o", str(tmp_path / "out"), "--model", str(model), *arguments]
        with redirect_stdout(io.StringIO()) as out:
            assert main(["restore", *words, "--dtype", "float32", "--device", "cpu"]) == 0
        return read_picture(tmp_path / "out" / "a.png").pixels, out.getvalue()

    return run


def sides(picture: torch.Tensor, photo: Path) -> tuple[bool, bool]:
    """Whether the left and the right face changed."""
    changed = (picture != read_picture(photo).pixels).any(2).any(0)
    return bool(changed[: SIDE // 2].any()), bool(changed[SIDE // 2 :].any())


def test_faces_can_be_picked(run, photo):
    assert sides(run()[0], photo) == (True, True)
    assert sides(run("--picked", "2")[0], photo) == (False, True)
    assert sides(run("--picked", "1-2")[0], photo) == (True, True)
    picture, printed = run("--picked", "5")
    assert sides(picture, photo) == (False, False)
    assert "picked, but not found this time: face 5" in printed
    assert "1 without a face to restore, taken over unchanged" in printed


def test_each_face_can_have_its_own_fidelity(run):
    whole, low = run("--fidelity", "1")[0], run("--fidelity", "0")[0]
    mixed = run("--picked", "1,2", "--per-face", "1,0")[0]
    middle = SIDE // 2
    assert torch.equal(mixed[:, :middle], whole[:, :middle])
    assert torch.equal(mixed[:, middle:], low[:, middle:])


def test_the_search_size_reaches_the_detector(run, monkeypatch):
    detector = TwoFaces()
    monkeypatch.setattr(restore, "load_face_detector", lambda options: detector)
    run()
    assert detector.search_size is None
    run("--search-size", "1280")
    assert detector.search_size == 1280


def test_the_fidelity_can_be_left_to_the_command(run, tmp_path, astronaut):
    """Both ways to say so; with reference photos the result may be another, and is kept apart."""
    auto, printed = run("--fidelity", "auto")
    assert "fidelity chosen for each face: " in printed
    assert torch.equal(run("--auto-fidelity")[0], auto)
    photo = tmp_path / "her.png"
    Image.fromarray((astronaut * 255).byte().numpy()).save(photo)
    assert "fidelity chosen" in run("--fidelity", "auto", "--references", str(photo))[1]
    parse = restore.add_parser(argparse.ArgumentParser().add_subparsers()).parse_args
    plain = ["a.png", "-o", "out", "--fidelity", "auto"]
    with_her = parse([*plain, "--references", str(photo)])
    assert restore.settings_of(parse(plain)) != restore.settings_of(with_her)
    with pytest.raises(MissingModelError, match=r"nobody.png: there is no such file"):
        restore.settings_of(parse([*plain, "--references", "nobody.png"]))


def test_people_on_references_are_drawn_as_far_as_is_asked(
    run, photo, tmp_path, tiny_codeformer, capsys
):
    """Of the two faces of the picture one is on the reference, where it is the first."""
    known = ("--references", str(photo), "--weights-dir", str(tmp_path / "models"))
    plain, _ = run()
    same, printed = run(*known)
    assert torch.equal(same, plain) and "restored with" not in printed
    assert "trained beside" in capsys.readouterr().err
    network = ReferenceConditioning.of(tiny_codeformer.config, (16,))
    torch.nn.init.normal_(network.get_parameter("sides.16.out.weight"))
    conditioning = Conditioning.beside(tiny_codeformer, network)
    save_conditioning(tmp_path / "models" / "tiny_references.safetensors", conditioning)
    changed, printed = run(*known)
    assert "restored with the references: face 1" in printed
    assert not torch.equal(changed[:, : SIDE // 2], plain[:, : SIDE // 2])
    half, _ = run(*known, "--reference-strength", "0.3")
    assert 0 < (half - plain).abs().mean() < (changed - plain).abs().mean()
    nothing, printed = run(*known, "--reference-strength", "0")
    assert torch.equal(nothing, plain) and "restored with" not in printed


def test_no_opacity_changes_nothing(run, photo):
    assert sides(run("--opacity", "0")[0], photo) == (False, False)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("--adain", "on"), ("--adain", "off")),
        (("--feather", "0.3"), ()),
        (("--colour-match", "lab"), ()),
        (("--opacity", "0.5"), ()),
    ],
)
def test_other_settings_reach_the_faces(run, first, second):
    assert not torch.equal(run(*first)[0], run(*second)[0])


def test_a_parser_makes_the_masks_of_the_parts_asked_for(run, monkeypatch, photo):
    asked = []

    class Parser:
        def masks(self, crops, *, runtime=None, **parts):
            asked.append(parts)
            return torch.zeros(crops.shape[:3])

    monkeypatch.setattr(restore, "load_face_parser", lambda options: Parser())
    picture, _ = run("--no-restore-hair", "--restore-hat")
    assert sides(picture, photo) == (False, False)
    assert asked[0] == {"hair": False, "glasses": True, "hat": True, "neck": False}


def test_a_list_that_is_none_is_one_line(photo, model, tmp_path, capsys):
    words = [str(photo), "-o", str(tmp_path / "out"), "--model", str(model), "--picked", "nose"]
    assert main(["restore", *words, "--device", "cpu"]) == 1
    assert "'nose' is no number of a face" in capsys.readouterr().err


def other(option: Option) -> str:
    """The option with another value."""
    name = option.name.replace("_", "-")
    if isinstance(option.default, bool):
        return f"--{'no-' if option.default else ''}{name}"
    if isinstance(option.default, float):
        return f"--{name}={sum(option.between) / 2}"
    return f"--{name}={option.choices[-1] if option.choices else '1'}"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_one_of_them_makes_other_results_when_resumed(option):
    commands = argparse.ArgumentParser().add_subparsers()
    parse = restore.add_parser(commands).parse_args
    plain = ["a.png", "-o", "out"]
    assert restore.settings_of(parse(plain)) != restore.settings_of(parse([*plain, other(option)]))


def test_the_short_name_of_the_factor_stays():
    parse = restore.add_parser(argparse.ArgumentParser().add_subparsers()).parse_args
    assert parse(["a.png", "-o", "out", "--upscale", "2"]).upscale_by == 2
