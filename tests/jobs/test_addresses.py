"""Jobs on addresses: the same results, record and refusals as in folders."""

import threading
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import pytest
from torch import Tensor

from codeformer_core.addresses import Address, place
from codeformer_core.cli import main
from codeformer_core.errors import PictureError, SettingError
from codeformer_core.images import Picture, write_picture
from codeformer_core.jobs import lock, places, record


@pytest.fixture
def faces(tmp_path: Path, astronaut: Tensor) -> Path:
    """A folder of aligned faces, one deeper than the others, and a bad file."""
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b/a b.jpg", "c.webp", "d.png")):
        write_picture(folder / name, Picture(astronaut[40 + index : 104 + index, 138:202]))
    (folder / "bad.png").write_bytes(b"nonsense")
    return folder


def upload(folder: Path, address: str) -> None:
    for path in folder.rglob("*.*"):
        places.write_bytes(place(f"{address}/{path.relative_to(folder)}"), path.read_bytes())


def contents(folder: str) -> dict[str, bytes | None]:
    """Every file below a place that is not hidden."""
    root = place(folder)
    names = [below for below, _ in places.files_below(root, root)]
    return {str(name): places.read_bytes(root / name) for name in names}


def restore(source: object, output: object, model: Path, *more: str) -> int:
    where = ["restore", str(source), "-o", str(output), "--model", str(model)]
    return main([*where, "--aligned", "--device", "cpu", *more])


def test_results_are_those_of_folders(faces, model, memory, tmp_path, capsys) -> None:
    assert restore(faces, tmp_path / "out", model) == 1
    in_folders = capsys.readouterr()
    upload(faces, f"{memory}/in")
    assert restore(f"{memory}/in", f"{memory}/out", model) == 1
    on_addresses = capsys.readouterr()
    assert contents(f"{memory}/out") == contents(str(tmp_path / "out"))
    assert len(contents(f"{memory}/out")) == 4
    assert on_addresses.out.replace(memory, str(tmp_path)) == in_folders.out
    assert on_addresses.err.replace(memory, str(tmp_path)) == in_folders.err
    assert "memory://bucket/in/bad.png: not a picture" in on_addresses.err


def test_resuming_does_what_is_left(faces, model, memory, capsys) -> None:
    upload(faces, f"{memory}/in")
    out = place(f"{memory}/out")
    restore(f"{memory}/in", out, model)
    places.write_bytes(out / "a.png", b"spoiled")
    places.remove(out / "c.webp")
    places.write_bytes(place(f"{memory}/in/d.png"), (faces / "a.png").read_bytes())
    capsys.readouterr()
    restore(f"{memory}/in", out, model, "--resume")
    printed = capsys.readouterr().out
    assert "4 of 5 pictures restored" in printed and "earlier run: 1" in printed
    restore(f"{memory}/in", out, model, "--resume")
    assert "earlier run: 4" in capsys.readouterr().out


def test_a_bucket_is_worked_through_and_locked_and_no_key_is_shown(
    faces, model, s3, tmp_path, capfd, monkeypatch
) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.2)
    upload(faces, f"{s3}/in")
    restore(faces, tmp_path / "out", model)
    assert restore(f"{s3}/in", f"{s3}/out", model, "--debug") == 1
    assert contents(f"{s3}/out") == contents(str(tmp_path / "out"))
    assert restore(f"{s3}/in", f"{s3}/out", model, "--resume") == 1
    printed = capfd.readouterr()
    assert "earlier run: 4" in printed.out
    assert "SECRET" not in printed.out + printed.err
    record_files = places.folder_contents(place(f"{s3}/out") / record.NAME)
    assert list(record_files) == ["000001.jsonl", "000002.jsonl"]
    folder = place(f"{s3}/out") / record.NAME
    with lock.only_job(folder):
        monkeypatch.setattr(lock, "BEAT_SECONDS", 0.4)
        with pytest.raises(SettingError, match="another job"), lock.only_job(folder):
            pass


def test_a_bucket_that_is_not_there_is_named(model, s3, capsys) -> None:
    assert restore(f"{s3}-not/a.png", f"{s3}/out", model) == 1
    assert "-not/a.png: there is no such file" in capsys.readouterr().err


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    assert place(f"file://{tmp_path}/a.png") == tmp_path / "a.png"


def test_an_address_answers_like_a_path() -> None:
    address = place("s3://bucket/2020/a.b.jpg")
    assert isinstance(address, Address)
    assert (address.name, address.stem, address.suffix) == ("a.b.jpg", "a.b", ".jpg")
    assert str(address.parent / "c") == "s3://bucket/2020/c"
    assert str(address.with_stem("x")) == "s3://bucket/2020/x.jpg"
    assert address.relative_to(place("s3://bucket")) == PurePosixPath("2020/a.b.jpg")
    with pytest.raises(ValueError, match="not below"):
        address.relative_to(place("memory://bucket"))


@pytest.mark.parametrize(
    "address",
    ["s3://KEY:SECRET@bucket/in", "https://example.invalid/a.jpg?X-Amz-Signature=SECRET"],
)
def test_passwords_in_addresses_are_refused_and_not_repeated(address, model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        restore(address, tmp_path, model)
    printed = capsys.readouterr()
    assert "give no name, password or signature" in printed.err
    assert "SECRET" not in printed.err + printed.out


def test_unknown_kinds_of_addresses_are_refused() -> None:
    with pytest.raises(SettingError, match="nonsense://: no kind of address"):
        place("nonsense://bucket/in")


@pytest.mark.skipif(bool(find_spec("gcsfs")), reason="the package is there")
def test_a_missing_package_is_named() -> None:
    with pytest.raises(SettingError, match=r"gs:// addresses need a package.*gcsfs"):
        place("gs://bucket/in")


def test_missing_objects_fail_like_missing_files(memory, model, capsys) -> None:
    assert restore(f"{memory}/no.png", f"{memory}/out", model) == 1
    assert "memory://bucket/no.png: there is no such file" in capsys.readouterr().err


def test_a_store_that_fails_is_said_with_the_address(memory, monkeypatch) -> None:
    address = place(f"{memory}/a.png")

    def fail(*arguments):
        raise RuntimeError("the store is on fire")

    monkeypatch.setattr(address.files, "put_file", fail)
    with pytest.raises(PictureError, match=r"memory://bucket/a\.png.*the store is on fire"):
        places.write_bytes(address, b"")


def test_inputs_are_never_overwritten(faces, model, memory, capsys) -> None:
    upload(faces, f"{memory}/in")
    before = contents(f"{memory}/in")
    assert restore(f"{memory}/in", f"{memory}/in", model) == 1
    assert "another output folder" in capsys.readouterr().err
    assert contents(f"{memory}/in") == before


def test_a_second_job_is_refused_while_the_first_lives(memory, monkeypatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    folder = place(f"{memory}/out") / record.NAME
    with lock.only_job(folder):
        with pytest.raises(SettingError, match="another job writes into this folder"):
            with lock.only_job(folder):
                pass
    with lock.only_job(folder):
        pass
    assert places.read_bytes(folder / lock.NAME) is None


def test_the_lock_of_a_dead_job_is_taken_over(memory, monkeypatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.1)
    folder = place(f"{memory}/out") / record.NAME
    places.write_bytes(folder / lock.NAME, lock._sign("killed"))
    with lock.only_job(folder):
        pass


def test_of_two_jobs_at_once_one_is_refused(memory, monkeypatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.2)
    folder = place(f"{memory}/out") / record.NAME
    starts, ends = threading.Barrier(4), threading.Barrier(4)
    held: list[bool] = []

    def job() -> None:
        starts.wait()
        try:
            with lock.only_job(folder):
                held.append(True)
                ends.wait()
        except SettingError:
            held.append(False)
            ends.wait()

    threads = [threading.Thread(target=job) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held) == [False, False, False, True]
