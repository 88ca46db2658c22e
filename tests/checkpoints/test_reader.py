"""Reading weight files: every format, every wrapping, and nothing that is not weights."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import read_state, write_state
from codeformer_core.errors import CheckpointError, MissingModelError

State = dict[str, torch.Tensor]


@pytest.mark.parametrize("file", ["safetensors_file", "archive_file", "legacy_file"])
def test_every_format_gives_the_same_tensors(
    file: str, published_state: State, request: pytest.FixtureRequest
) -> None:
    state, _ = read_state(request.getfixturevalue(file))
    assert state.keys() == published_state.keys()
    assert all(torch.equal(state[key], published_state[key]) for key in state)


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict"])
def test_a_wrapped_state_is_unwrapped(wrapper: str, tmp_path: Path) -> None:
    path = tmp_path / "wrapped.pth"
    content = {wrapper: OrderedDict(weight=torch.ones(2)), "iter": 5, "variant": "inpainting"}
    torch.save(content, path)
    state, metadata = read_state(path)
    assert state.keys() == {"weight"}
    assert metadata == {"iter": "5", "variant": "inpainting"}


def test_a_file_is_completed_by_the_one_it_names(tmp_path: Path) -> None:
    whole = {name: torch.zeros(1) for name in ("encoder.a", "generator.a", "ft_layers.a")}
    write_state(tmp_path / "whole.safetensors", whole, {"heads": "4", "variant": "restoration"})
    about = {"rest": "whole.safetensors", "variant": "colorization"}
    own = {"encoder.a": torch.ones(1)}
    write_state(tmp_path / "part.safetensors", own, about)
    state, metadata = read_state(tmp_path / "part.safetensors")
    assert {name: float(each) for name, each in state.items()} == {
        "encoder.a": 1.0,
        "generator.a": 0.0,
        "ft_layers.a": 0.0,
    }
    assert (metadata["heads"], metadata["variant"]) == ("4", "colorization")
    write_state(tmp_path / "some.safetensors", own, {**about, "rest_parts": "quantize. generator."})
    assert read_state(tmp_path / "some.safetensors")[0].keys() == {"encoder.a", "generator.a"}


@pytest.mark.parametrize("rest", ["../whole.safetensors", "part.safetensors", "other.safetensors"])
def test_what_completes_a_file_lies_beside_it_and_is_whole(rest: str, tmp_path: Path) -> None:
    tensors = {"encoder.a": torch.ones(1)}
    (tmp_path / "in").mkdir()
    write_state(tmp_path / "whole.safetensors", tensors)
    write_state(tmp_path / "in" / "part.safetensors", tensors, {"rest": rest})
    write_state(tmp_path / "in" / "other.safetensors", tensors, {"rest": "part.safetensors"})
    with pytest.raises(CheckpointError, match="rest of it"):
        read_state(tmp_path / "in" / "part.safetensors")


def test_the_moving_average_wins_over_the_raw_weights(tmp_path: Path) -> None:
    path = tmp_path / "both.pth"
    torch.save({"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}, path)
    assert read_state(path)[0]["a"].item() == 1


def test_parameters_and_module_metadata_are_read(tmp_path: Path) -> None:
    # A module's own state dict is an OrderedDict with an attribute, and may hold parameters.
    path = tmp_path / "module.pth"
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    state = module.state_dict(keep_vars=True)
    torch.save(state, path)
    assert read_state(path)[0].keys() == state.keys()


def test_tied_and_half_precision_tensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tied.pth"
    table = torch.randn(4, 6).bfloat16()
    torch.save({"a": table, "b": table.t(), "c": table[1:3, 2:]}, path)
    state, _ = read_state(path)
    assert torch.equal(state["b"], table.t()) and torch.equal(state["c"], table[1:3, 2:])


def test_the_format_is_read_from_the_content_not_the_name(
    safetensors_file: Path, archive_file: Path, tmp_path: Path
) -> None:
    renamed = safetensors_file.rename(tmp_path / "renamed.pth")
    other = archive_file.rename(tmp_path / "renamed.safetensors")
    assert read_state(renamed)[0].keys() == read_state(other)[0].keys()


def test_a_link_to_a_file_is_followed(safetensors_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.safetensors"
    link.symlink_to(safetensors_file)
    assert read_state(link)[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"<html><body>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        (b"GGUF\x03\x00\x00\x00", "GGUF"),
        (b"\xff\xd8\xff\xe0 a picture", "not a file of weights"),
        (b"\x00" * 100, "not a file of weights"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "header"),
        ((20).to_bytes(8, "little") + b'{"a":', "header"),
        ((2).to_bytes(8, "little") + b"{]", "damaged safetensors"),
    ],
)
def test_what_is_no_weight_file_is_named(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"model\.pth.*{reason}"):
        read_state(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"gone\.pth"):
        read_state(tmp_path / "gone.pth")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_state(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in folders")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(CheckpointError, match="is not a file"):
        read_state(tmp_path / "pipe.pth")


class _Code:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_file_is_refused_and_not_run(new_format: bool, tmp_path: Path) -> None:
    path, witness = tmp_path / "evil.pth", tmp_path / "witness"
    content = {"params_ema": {"a": torch.ones(1)}, "b": _Code(witness)}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(CheckpointError, match=r"evil\.pth.*refers to the code"):
        read_state(path)
    assert not witness.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, witness = tmp_path / "evil.pth", tmp_path / "witness"
    path.write_bytes(pickle.dumps(_Code(witness), protocol=2))
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        read_state(path)
    assert not witness.exists()


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"a": {"b": torch.ones(1)}}, {}])
def test_content_that_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"other\.pth"):
        read_state(path)


def _archive(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def _repacked(path: Path, **changes: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for ending, data in changes.items():
        entries[next(name for name in entries if name.endswith(ending))] = data
    return entries


def test_a_compressed_archive_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "a.pth")
    bomb = _archive(tmp_path / "bomb.pth", _repacked(tmp_path / "a.pth"), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 16
    with pytest.raises(CheckpointError, match=r"bomb\.pth.*compressed"):
        read_state(bomb)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"picture.png": b""}, "not one of PyTorch"),
        ({"m/data.pkl": b"", "m/constants.pkl": b""}, "TorchScript"),
        ({"m/data.pkl": b"", "n/data.pkl": b""}, "not one of PyTorch"),
        ({"m/data.pkl": b""}, "table of contents"),
        ({"m/data.pkl": b"\x80\x02" + b"0" * (5 << 20)}, "table of contents|operation"),
        ({"m/data.pkl": b"\x80\x02" + b"]" * (5 << 20)}, "larger than any model's"),
    ],
)
def test_archives_that_are_no_weights_are_named(
    entries: dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    path = _archive(tmp_path / "strange.pth", entries)
    with pytest.raises(CheckpointError, match=rf"strange\.pth.*({reason})"):
        read_state(path)


def test_the_same_entry_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.pth"
    with (
        zipfile.ZipFile(path, "w") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("m/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("m/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(CheckpointError, match="same entry twice"):
        read_state(path)


def _with_a_long_list_of_entries(path: Path) -> bytearray:
    names = (f"m/{index}{'x' * 60_000}" for index in range(72))
    return bytearray(_archive(path, dict.fromkeys(names, b"")).read_bytes())


def test_a_long_list_of_entries_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.pth"
    _with_a_long_list_of_entries(path)
    with pytest.raises(CheckpointError, match=r"long\.pth.*list of entries"):
        read_state(path)


def test_a_long_list_cannot_hide_behind_a_second_end_record(tmp_path: Path) -> None:
    path = tmp_path / "hidden.pth"
    data = _with_a_long_list_of_entries(path)
    end = data.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<LL", data[end + 12 : end + 20])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 72, 72, size, start)
    where = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    data[end + 12 : end + 16] = bytes(4)  # the record for small archives says the list is empty
    path.write_bytes(data[:end] + wide + where + data[end:])
    with pytest.raises(CheckpointError, match=r"hidden\.pth.*list of entries"):
        read_state(path)


def test_the_message_about_a_damaged_archive_stays_short(tmp_path: Path) -> None:
    path = _archive(tmp_path / "model.pth", {"m/data.pkl": bytes(5000)})
    data = bytearray(path.read_bytes())
    data[26:28] = b"\xff\x0f"  # the name now reaches into its data
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged") as caught:
        read_state(path)
    assert len(str(caught.value)) < 500


def test_a_tensor_larger_than_its_data_is_refused(tmp_path: Path) -> None:
    # Strides of 0 make a terabyte out of four bytes.
    path = tmp_path / "wide.pth"
    torch.save({"a": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)
    assert path.stat().st_size < 10_000
    with pytest.raises(CheckpointError, match=r"wide\.pth.*larger than its data"):
        read_state(path)


def test_many_views_of_the_same_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "views.pth"
    table = torch.zeros(100_000)
    torch.save({str(index): table.view(100, 1000) for index in range(5)}, path)
    with pytest.raises(CheckpointError, match=r"views\.pth.*more numbers than the file holds"):
        read_state(path)


def test_a_storage_cut_off_in_a_legacy_file_is_refused(legacy_file: Path) -> None:
    data = legacy_file.read_bytes()
    legacy_file.write_bytes(data[:-100])
    with pytest.raises(CheckpointError, match=r"tiny_legacy\.pth.*ends before"):
        read_state(legacy_file)


def test_nested_keys_that_take_for_ever_to_hash_are_refused(tmp_path: Path) -> None:
    # t = (t, t) sixty times over has 2^60 parts when it is hashed as a key.
    nest = b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"Ns."
    path = _archive(tmp_path / "nest.pth", {"m/data.pkl": nest})
    with pytest.raises(CheckpointError, match=r"nest\.pth.*neither text nor a number"):
        read_state(path)
