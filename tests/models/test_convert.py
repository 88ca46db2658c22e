"""Conversion is number for number, says where it comes from, and is whole or not at all."""

import hashlib
import os
import stat
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import read_state, save_network, write_state
from codeformer_core.errors import CheckpointError, MissingModelError, SettingError
from codeformer_core.models import convert, describe, load_network
from codeformer_core.networks import CodeFormer

State = dict[str, torch.Tensor]


@pytest.mark.parametrize("file", ["archive_file", "legacy_file"])
def test_numbers_and_published_keys_survive_both_ways(
    file: str, published_state: State, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = convert(request.getfixturevalue(file), tmp_path / "there.safetensors")
    back = convert(there, tmp_path / "back.pth")
    for path in (there, back):
        state, _ = read_state(path)
        assert state.keys() == published_state.keys()
        assert all(torch.equal(state[key], published_state[key]) for key in state)


def test_another_type_halves_the_file_and_rounds_only(
    tiny_codeformer: CodeFormer, tmp_path: Path
) -> None:
    path = save_network(tmp_path / "full.safetensors", tiny_codeformer)
    half = convert(path, tmp_path / "half.safetensors", dtype=torch.float16)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    full, rounded = read_state(path)[0], read_state(half)[0]
    assert all(torch.equal(rounded[key], full[key].half()) for key in full)


def test_numbers_too_large_for_the_type_are_refused(
    tiny_codeformer: CodeFormer, tmp_path: Path
) -> None:
    tiny_codeformer.position_emb[0, 0] = 1e6
    path = save_network(tmp_path / "large.safetensors", tiny_codeformer)
    with pytest.raises(CheckpointError, match="position_emb"):
        convert(path, tmp_path / "half.safetensors", dtype=torch.float16)
    assert not (tmp_path / "half.safetensors").exists()


def test_metadata_says_what_it_is_and_where_it_comes_from(
    archive_file: Path, tmp_path: Path
) -> None:
    metadata = read_state(convert(archive_file, tmp_path / "new.safetensors"))[1]
    assert metadata == {
        "format": "pt",
        "kind": "codeformer",
        "variant": "restoration",
        "heads": "8",
        "image_size": "64",
        "source": "tiny.pth",
        "source_sha256": hashlib.sha256(archive_file.read_bytes()).hexdigest(),
    }


def test_what_a_file_said_about_itself_is_kept(tiny_codeformer: CodeFormer, tmp_path: Path) -> None:
    path = save_network(tmp_path / "a.safetensors", tiny_codeformer, {"licence": "MIT"})
    converted = convert(path, tmp_path / "b.pth")
    assert read_state(converted)[1]["licence"] == "MIT"
    assert load_network(converted).config == tiny_codeformer.config


def test_detectors_are_converted_too(tmp_path: Path) -> None:
    keys = ("body.stage1.0.0.weight", "fpn.a", "ssh1.a", "ClassHead.a", "LandmarkHead.a")
    source = tmp_path / "detector.pth"
    torch.save({f"module.{key}": torch.rand(2) for key in keys}, source)
    state, metadata = read_state(convert(source, tmp_path / "detector.safetensors"))
    assert state.keys() == set(keys)
    assert metadata["kind"] == "retinaface_mobile0.25"


def test_an_unknown_or_incomplete_file_is_not_converted(
    published_state: State, tmp_path: Path
) -> None:
    target = tmp_path / "target.safetensors"
    strange = write_state(tmp_path / "strange.safetensors", {"a": torch.ones(1)})
    del published_state["feat_emb.bias"]
    cut = write_state(tmp_path / "cut.safetensors", published_state)
    for source, reason in ((strange, "does not know"), (cut, "1 keys missing")):
        with pytest.raises(CheckpointError, match=rf"{source.name}.*{reason}"):
            convert(source, target)
    assert not target.exists()


def test_an_existing_target_is_kept_unless_told(archive_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: exists already"):
        convert(archive_file, target)
    assert target.read_bytes() == b"precious"
    convert(archive_file, target, overwrite=True)
    assert read_state(target)[0]


def test_a_file_is_not_converted_onto_itself(archive_file: Path) -> None:
    with pytest.raises(SettingError, match="the same file"):
        convert(archive_file, archive_file, overwrite=True)


def test_a_missing_source_and_a_strange_suffix_are_named(
    archive_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(MissingModelError, match=r"gone\.pth"):
        convert(tmp_path / "gone.pth", tmp_path / "a.safetensors")
    with pytest.raises(SettingError, match=r"model\.onnx"):
        convert(archive_file, tmp_path / "model.onnx")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    archive_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "model.safetensors"
    target.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be written.*No space"):
        convert(archive_file, target, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]
    assert target.read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_named(archive_file: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere.*cannot be written"):
        convert(archive_file, tmp_path / "nowhere" / "model.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_the_umask_lets_them(archive_file: Path, tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    target = convert(archive_file, tmp_path / "model.safetensors")
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_description_has_every_size(safetensors_file: Path) -> None:
    report = describe(safetensors_file)
    text = str(report)
    assert report.problem is None
    assert report.kind.kind == "codeformer"
    for fact in (
        "a CodeFormer",
        "restoration",
        "64 px crops",
        "64 codes of 32",
        "fusion at 16, 32",
    ):
        assert fact in text
    assert hashlib.sha256(safetensors_file.read_bytes()).hexdigest() in text


def test_a_description_names_the_problem(published_state: State, tmp_path: Path) -> None:
    del published_state["feat_emb.bias"]
    report = describe(write_state(tmp_path / "cut.safetensors", published_state))
    assert report.kind.kind == "codeformer"
    assert "1 keys missing, first 'feat_emb.bias'" in str(report)


def test_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = write_state(
        tmp_path / "a.safetensors", {"a": torch.ones(1)}, {"\x1b]x": "\x1b[2J\nfile ok"}
    )
    assert "\x1b" not in str(describe(path))
    assert "\nfile ok" not in str(describe(path))
