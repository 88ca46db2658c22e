"""A disk that is really full: said in words, the old file stays, nothing half-written is left."""

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.downloads import KnownFile, download, transfer
from codeformer_core.errors import CheckpointError, DownloadError
from codeformer_core.images import DiskFullError, Picture, write_picture
from codeformer_core.training import reporting
from codeformer_core.training.preparation import ShardWriter
from codeformer_core.training.reporting import FolderReporter
from codeformer_core.training.run_folder import RunFolder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, where the system lets us make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # errors may hold files open


def refuses_and_keeps(disk: Path, path: Path, error: type[Exception], write: Callable) -> None:
    """Whether a write that finds no room leaves the old file, and nothing else."""
    path.write_bytes(b"old")
    with pytest.raises(error, match=rf"{path.name}: .*(disk is full|No space|free space)"):
        write()
    assert path.read_bytes() == b"old"
    assert list(disk.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures(suffix: str, bits: int, disk: Path, astronaut) -> None:
    path = disk / f"a{suffix}"
    picture = Picture(astronaut, bits=bits)
    refuses_and_keeps(disk, path, DiskFullError, lambda: write_picture(path, picture, quality=100))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights(suffix: str, disk: Path, tiny_codeformer) -> None:
    path = disk / f"a{suffix}"
    refuses_and_keeps(disk, path, CheckpointError, lambda: save_network(path, tiny_codeformer))


@pytest.mark.parametrize("numbers", [20_000, 200_000])  # more than fits, much more
def test_state_of_a_run(numbers: int, disk: Path) -> None:
    folder = RunFolder(disk)
    folder.state.write_bytes(b"old")
    state = {"first": torch.zeros(numbers // 2), "second": torch.zeros(numbers // 2)}
    with pytest.raises(DiskFullError, match=r"state\.pt: .*disk is full"):
        # Weights would find no room first.
        folder.save(lambda *_: None, {"stage": 1, "step": 1}, state)
    assert folder.state.read_bytes() == b"old"
    assert set(disk.iterdir()) == {folder.state, folder.description}


def fill(disk: Path) -> None:
    """Leave no room for another byte."""
    with pytest.raises(OSError, match="No space"), (disk / "other").open("wb", 0) as file:
        while True:
            file.write(bytes(4096))


def test_log_and_samples_of_a_run(
    disk: Path, astronaut: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "_summary_writer", lambda *_: None)
    reporter = FolderReporter(disk, 0)
    fill(disk)
    with pytest.raises(DiskFullError, match=r"log\.jsonl: .*disk is full"):
        reporter.scalars(1, {"L_1": 0.5})
    with pytest.raises(DiskFullError, match=r"samples\.jpg: .*disk is full"):
        reporter.pictures(1, astronaut)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_curves_of_a_run(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    reporter = FolderReporter(disk, 0)
    fill(disk)
    monkeypatch.setattr(reporter, "log", disk.parent / "log.jsonl")
    with pytest.raises(DiskFullError, match=r"tensorboard: .*disk is full"):
        for step in range(10_000):  # it writes in a thread of its own, when it likes
            reporter.scalars(step, {"L_1": 0.5})
        reporter.close()
    with pytest.raises(DiskFullError, match=r"tensorboard: .*disk is full"):
        FolderReporter(disk, 0)


@pytest.mark.parametrize("length", [62_000, 200_000])  # the end of the shard has no room, or a face
def test_shards(length: int, disk: Path) -> None:
    with (
        pytest.raises(DiskFullError, match=r"faces-000000\.tar: .*disk is full"),
        ShardWriter(disk, 1 << 20) as writer,
    ):
        writer.add("face", {"jpg": bytes(length)})
    assert not list(disk.iterdir())


def test_downloads_keep_their_part(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(200_000)
    announced = Message()
    announced["Content-Length"] = str(len(content))

    class Response:
        status, left = 200, len(content)
        headers = announced

        def __enter__(self) -> "Response":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read1(self, count: int) -> bytes:
            count = min(count, self.left, 10_000)
            self.left -= count
            return bytes(count)

    monkeypatch.setattr(transfer, "_opened", lambda url, there: Response())
    monkeypatch.setattr(transfer.Transfer, "_check_space", lambda self, needed: None)
    known = KnownFile(
        name="model.pth",
        kind="codeformer",
        urls=("https://example.invalid/model.pth",),
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="none",
        folder="facerestore_models",
    )
    with pytest.raises(DownloadError, match=r"model\.pth: cannot be written.*No space left"):
        download(known, disk)
    assert [path.name for path in disk.iterdir()] == ["model.pth.part"]
    assert download(known, tmp_path).read_bytes() == content
