"""The commands demo, inspect, convert and download."""

import re

import pytest

from codeformer_core.checkpoints import read_state
from codeformer_core.cli import main
from codeformer_core.downloads import KNOWN_FILES
from codeformer_core.errors import DownloadError
from codeformer_core.images import read_picture


def test_demo_writes_three_pictures_and_says_where_and_how_good(tmp_path, model, capsys):
    out = tmp_path / "a" / "demo"
    arguments = ["--model", str(model), "--detector", "yunet", "--device", "cpu"]
    assert main(["demo", "--output", str(out), *arguments]) == 0
    printed = capsys.readouterr().out
    for name in ("input.png", "output.png", "side_by_side.png"):
        assert str(out / name) in printed
    assert read_picture(out / "input.png").pixels.shape == (512, 512, 3)
    assert read_picture(out / "output.png").pixels.shape == (512, 512, 3)
    assert len(re.findall(r"PSNR \d+\.\d+ dB, identity distance \d\.\d+", printed)) == 2


def test_inspect_tells_what_a_file_is(model, capsys):
    assert main(["inspect", str(model)]) == 0
    printed = capsys.readouterr().out
    assert "CodeFormer" in printed
    assert "64 px" in printed
    assert "restoration" in printed


def test_inspect_goes_on_after_a_bad_file(model, tmp_path, capsys):
    (tmp_path / "bad.pth").write_bytes(b"nonsense")
    assert main(["inspect", str(tmp_path / "bad.pth"), str(model)]) == 1
    printed = capsys.readouterr()
    assert "bad.pth" in printed.err
    assert "CodeFormer" in printed.out


def test_convert_names_its_target_after_the_source(model, tmp_path, capsys):
    pth = tmp_path / "model.pth"
    assert main(["convert", str(model), str(pth)]) == 0
    assert main(["convert", str(pth)]) == 0
    assert str(tmp_path / "model.safetensors") in capsys.readouterr().out
    original, _ = read_state(model)
    converted, _ = read_state(tmp_path / "model.safetensors")
    assert all(bool((original[key] == converted[key]).all()) for key in original)


def test_convert_replaces_only_on_request(model, tmp_path, capsys):
    target = tmp_path / "there.pth"
    target.touch()
    assert main(["convert", str(model), str(target)]) == 1
    assert target.stat().st_size == 0
    assert "exists already" in capsys.readouterr().err
    assert main(["convert", str(model), str(target), "--overwrite"]) == 0
    assert target.stat().st_size > 0


def test_download_without_a_name_lists_files_and_licences(capsys):
    assert main(["download"]) == 0
    printed = capsys.readouterr().out
    for file in KNOWN_FILES:
        assert file.name in printed
    assert "non-commercial" in printed


@pytest.fixture
def fetched(monkeypatch) -> list[tuple[str, str, bool]]:
    """Names, folders and permissions that `download` was called with; nothing is fetched."""
    calls: list[tuple[str, str, bool]] = []

    def pretend(file, folder, on_progress, *, check):
        calls.append((file.name, str(folder), check is not None))
        if file.sha256 is None and check is None:
            raise DownloadError(f"{file.name}: nobody published its hash")
        folder.mkdir(parents=True, exist_ok=True)
        on_progress(1, 2)
        on_progress(2, 2)
        (folder / file.name).write_bytes(b"xy")
        return folder / file.name

    monkeypatch.setattr("codeformer_core.downloads.download", pretend)
    return calls


def test_download_puts_files_where_restore_looks_for_them(fetched, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CODEFORMER_MODELS", str(tmp_path / "models"))
    assert main(["download", "codeformer", "retinaface_mobile0.25"]) == 0
    names = [name for name, _, _ in fetched]
    assert names == ["codeformer.pth", "detection_mobilenet0.25_Final.pth"]
    assert {folder for _, folder, _ in fetched} == {str(tmp_path / "models")}
    assert str(tmp_path / "models" / "codeformer.pth") in capsys.readouterr().out


def test_one_unknown_name_stops_the_order_before_it_starts(fetched, capsys):
    assert main(["download", "codeformer.pth", "nonsense"]) == 1
    assert fetched == []
    assert "nonsense" in capsys.readouterr().err


def test_unverified_files_need_a_yes_and_show_their_hash(fetched, tmp_path, capsys):
    name = next(file.name for file in KNOWN_FILES if file.sha256 is None)
    arguments = ["download", name, "--weights-dir", str(tmp_path)]
    assert main(arguments) == 1
    assert main([*arguments, "--allow-unverified"]) == 0
    assert re.search(r"sha256 is [0-9a-f]{64}", capsys.readouterr().out)
