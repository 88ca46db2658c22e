"""`prepare`, `train` and `evaluate`: from photos to a measured model, by command alone."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from codeformer_core.cli import main
from codeformer_core.models import load_codeformer

SETTINGS = """
stage = {stage}
data = "faces"
steps = 3
batch_size = 2
precision = "fp32"
device = "cpu"
discriminator_channels = 32
adversarial_after = 1
[model]
width = 32
layers = 1
fusion_sizes = [8, 16]
[model.vqgan]
image_size = 32
channels = 32
multipliers = [1, 1]
blocks = 1
attention_sizes = []
codebook_size = 32
code_channels = 32
patch = 2
[losses]
perceptual = 0.0
"""


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Three settings files."""
    paths = [tmp_path / f"tiny{stage}.toml" for stage in (1, 2, 3)]
    for stage, path in enumerate(paths, start=1):
        path.write_text(SETTINGS.format(stage=stage))
    return list(map(str, paths))


@pytest.fixture
def faces(tmp_path: Path, astronaut: Tensor) -> str:
    folder = tmp_path / "my faces"
    folder.mkdir()
    for number in range(4):
        crop = astronaut[60:124, 170 + 4 * number : 234 + 4 * number]
        Image.fromarray((crop * 255).to(torch.uint8).numpy()).save(folder / f"{number}.png")
    return str(folder)


def test_three_stages_follow_each_other_and_can_be_evaluated(
    tmp_path: Path, settings: list[str], faces: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    for stage, path in enumerate(settings, start=1):
        assert main(["train", str(stage), path, "--data", faces, "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "codebook_size = 32" in printed
    weights = tmp_path / "run" / "stage3" / "weights.safetensors"
    assert str(weights) in printed
    assert load_codeformer(weights).size == 32
    results = tmp_path / "results"
    first = str(tmp_path / "run" / "stage1" / "weights.safetensors")
    command = ["evaluate", str(weights), faces, "--out", str(results), "--fidelity", "0", "1"]
    assert main([*command, "--autoencoder", first, "--limit", "3", "--device", "cpu"]) == 0
    numbers = json.loads((results / "evaluation.json").read_text())
    assert numbers["faces"] == 3
    assert set(numbers["rows"]) == {"degraded input", "nearest neighbour", "w = 0", "w = 1"}
    assert (results / "sheet.jpg").is_file()


def test_interrupted_run_says_how_to_go_on(
    tmp_path: Path,
    settings: list[str],
    faces: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from codeformer_core.training import Trainer

    def interrupted(trainer: Trainer, *_: object) -> bool:
        trainer.step = 2
        return False

    monkeypatch.setattr(Trainer, "run", interrupted)
    command = ["train", "1", settings[0], "--data", faces, "--out", str(tmp_path / "run")]
    assert main(command) == 130
    assert "after step 2 of 3; the same command goes on" in capsys.readouterr().err


def test_run_of_no_minutes_stops_cleanly_and_goes_on(
    tmp_path: Path, settings: list[str], faces: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "1", settings[0], "--data", faces, "--out", str(tmp_path / "run")]
    assert main([*command, "--minutes", "0"]) in (0, 130)
    assert main(command) == 0
    assert json.loads((tmp_path / "run" / "stage1" / "run.json").read_text())["step"] == 3


def test_settings_are_printed_and_changed(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["--set", "losses.pixel=2", "--set", "data=elsewhere"]
    assert main(["train", "2", settings[1], "--print", *changes]) == 0
    printed = capsys.readouterr().out
    assert "pixel = 2.0" in printed
    assert 'data = "elsewhere"' in printed
    assert "stage = 2" in printed
    assert main(["train", "1", "builtin_128", "--print"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1", "nothing"], "builtin_128"),
        (["1", "builtin_128", "--set", "stpes=1"], "stpes"),
        (["1", "builtin_128", "--set", "steps"], "NAME=VALUE"),
        (["1", "builtin_128", "--data", "no such folder"], "no such folder"),
        (["2", "builtin_128", "--out", "no run"], "train the stage before first"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_settings_of_another_stage_are_refused(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "2", settings[0]]) == 1
    assert "stage 1" in capsys.readouterr().err


def test_photos_are_prepared(
    tmp_path: Path, astronaut: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray((astronaut * 255).to(torch.uint8).numpy()).save(photos / "a.png")
    (photos / "b.png").write_bytes(b"no picture")
    out = str(tmp_path / "shards")
    assert main(["prepare", str(photos), "--out", out, "--detector", "yunet"]) == 0
    captured = capsys.readouterr()
    assert "1 faces of 2 photos" in captured.out
    assert "b.png" in captured.err
    assert main(["train", "1", "builtin_128", "--data", out, "--print"]) == 0
