"""`codeformer compare`."""

from pathlib import Path

import pytest
import torch

from codeformer_core.cli import main
from codeformer_core.images import Picture, read_picture, write_picture


@pytest.fixture
def photo(tmp_path: Path, astronaut: torch.Tensor) -> Path:
    write_picture(tmp_path / "photo.png", Picture(astronaut))
    return tmp_path / "photo.png"


def test_a_sheet_and_a_table_are_written(
    photo: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    command = ["compare", str(photo), "--models", str(model), "--fidelity", "0", "1"]
    command += ["--truth", str(photo), "--output", str(sheet), "--width", "64", "--device", "cpu"]
    assert main(command) == 0
    assert read_picture(sheet).pixels.shape[1] == 4 * 76 + 12
    table = sheet.with_suffix(".md").read_text(encoding="utf-8")
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [
        "input",
        "tiny",
        "tiny",
        "ground truth",
    ]
    assert table in capsys.readouterr().out


def test_every_missing_model_is_named_with_its_licence_before_any_runs(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", str(photo), "--models", "codeformer.pth", "GFPGANv1.4.pth", "gone.onnx"]
    assert (
        main([*command, "--weights-dir", str(tmp_path), "--output", str(tmp_path / "s.png")]) == 1
    )
    told = capsys.readouterr().err
    assert (
        "codeformer download codeformer.pth (licence: S-Lab License 1.0 (non-commercial))" in told
    )
    assert "codeformer download GFPGANv1.4.pth (licence: Apache-2.0)" in told
    assert "gone.onnx: there is no such file" in told
    assert "GPEN's for academic and non-commercial use only" in told
    assert not (tmp_path / "s.png").exists()
