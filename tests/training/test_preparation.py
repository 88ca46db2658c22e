"""From photos to shards that training reads."""

import errno
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.faces import TEMPLATE, Box, Face, Faces, Landmarks, place
from codeformer_core.training.preparation import FaceSelection, prepare_faces
from codeformer_core.training.sources import FaceSet, find_pictures


class KnownFaces:
    """A detector that finds faces of given sides at given places in every picture."""

    name = "known"

    def __init__(self, *squares: tuple[float, float, float]) -> None:
        self.squares = squares

    def detect(self, frames: Tensor, **_: object) -> Faces:
        height, width = frames.shape[1:3]
        faces = []
        for left, top, side in self.squares:
            points = [(left + x * side / 512, top + y * side / 512) for x, y in TEMPLATE.points]
            landmarks = Landmarks(*points)
            box = Box(left, top, left + side, top + side)
            faces.append(Face(box, 0.9, landmarks, place(landmarks, 512, height, width)))
        return Faces((tuple(faces),), height, width)


@pytest.fixture
def photos(tmp_path: Path, astronaut: Tensor) -> list[Path]:
    """The astronaut twice, and a file that is no picture."""
    pixels = (astronaut * 255).to(torch.uint8).numpy()
    paths = [tmp_path / name for name in ("a photo.png", "b.png", "broken.png")]
    for path in paths[:2]:
        Image.fromarray(pixels).save(path)
    paths[2].write_bytes(b"no picture")
    return paths


def test_faces_are_packed_as_training_reads_them(
    tmp_path: Path, photos: list[Path], astronaut: Tensor
) -> None:
    detector = KnownFaces((100.0, 20.0, 200.0), (300.0, 200.0, 140.0))
    report = prepare_faces(photos, tmp_path / "out", detector, FaceSelection(size=160))
    assert (report.photos, report.faces) == (3, 4)
    assert "broken.png" in report.unreadable[0]
    pictures = find_pictures(tmp_path / "out")
    assert [picture.side for picture in pictures] == [160, 140, 160, 140]
    with tarfile.open(tmp_path / "out" / "faces-000000.tar") as archive:
        names = archive.getnames()
        about = json.load(archive.extractfile(names[1]))  # pyright: ignore
    assert names[:2] == ["000000-a_photo-0.jpg", "000000-a_photo-0.json"]
    assert about == {"photo": "a photo.png", "side": 160, "score": 0.9}
    # The second face is cut at its own size, where it was: pixel for pixel but for JPEG.
    face = FaceSet(pictures, 140).take(np.array([1]), torch.device("cpu"))[0] / 255.0
    assert (face - astronaut[200:340, 300:440]).abs().mean() < 0.02


def test_aligned_faces_are_packed_as_they_are(
    tmp_path: Path, photos: list[Path], astronaut: Tensor
) -> None:
    report = prepare_faces(photos[:1], tmp_path / "out", None)
    assert (report.faces, report.cut_off) == (1, 0)
    face = (
        FaceSet(find_pictures(tmp_path / "out"), 512).take(np.array([0]), torch.device("cpu"))[0]
        / 255
    )
    assert (face - astronaut).abs().mean() < 0.01
    prepare_faces(photos[:1], tmp_path / "small", None, FaceSelection(size=256, quality=50))
    assert find_pictures(tmp_path / "small")[0].side == 256


def test_small_and_cut_off_faces_are_left_out(tmp_path: Path, photos: list[Path]) -> None:
    detector = KnownFaces((0.0, 0.0, 100.0), (400.0, 400.0, 300.0), (10.0, 10.0, 300.0))
    report = prepare_faces(photos[:1], tmp_path / "out", detector)
    assert (report.faces, report.too_small, report.cut_off) == (1, 1, 1)


def test_shards_stay_under_their_limit(tmp_path: Path, photos: list[Path]) -> None:
    detector = KnownFaces((100.0, 20.0, 200.0))
    prepare_faces(photos[:2], tmp_path / "out", detector, shard_bytes=30_000)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["faces-000000.tar", "faces-000001.tar"]


def test_failure_leaves_no_half_shard(tmp_path: Path, photos: list[Path]) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_faces(
            photos[:1], tmp_path / "out", KnownFaces((100.0, 20.0, 200.0)), on_progress=stop
        )
    assert not list((tmp_path / "out").iterdir())


def test_a_shard_that_the_disk_does_not_take_gets_no_name(
    tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PictureError, match=r"faces-000000\.tar: cannot be written"):
        prepare_faces(photos[:1], tmp_path / "out", KnownFaces((100.0, 20.0, 200.0)))
    assert not list((tmp_path / "out").iterdir())


def test_what_cannot_be_prepared_is_refused(tmp_path: Path, photos: list[Path]) -> None:
    with pytest.raises(PictureError, match="no usable face"):
        prepare_faces(photos[:1], tmp_path / "none", KnownFaces())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.tar").touch()
    with pytest.raises(SettingError, match="already"):
        prepare_faces(photos[:1], tmp_path / "out", KnownFaces())
    with pytest.raises(SettingError, match="smallest"):
        FaceSelection(size=64, smallest=128)
    with pytest.raises(SettingError, match="quality"):
        FaceSelection(quality=0)
