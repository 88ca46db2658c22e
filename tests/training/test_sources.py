"""Faces from folders and shards."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from codeformer_core.errors import PictureError
from codeformer_core.training.sources import FaceSet, find_pictures, hold_out


@pytest.fixture
def shard(face_folder: Path, tmp_path: Path) -> Path:
    """The face folder as a WebDataset shard, with a text beside each picture."""
    path = tmp_path / "shards" / "faces-000000.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for picture in sorted(face_folder.iterdir()):
            archive.add(picture, picture.name)
            text = tarfile.TarInfo(f"{picture.stem}.json")
            text.size = 2
            archive.addfile(text, io.BytesIO(b"{}"))
    return path


def test_faces_are_read_at_one_size_and_never_enlarged(face_folder: Path) -> None:
    pictures = find_pictures(face_folder)
    faces = FaceSet(pictures, 64)
    assert len(faces) == 8
    assert faces[3].shape == (64, 64, 3)
    assert faces[3].dtype == np.uint8
    with pytest.raises(PictureError, match="128"):
        FaceSet(pictures, 128)


def test_shards_hold_the_same_faces(face_folder: Path, shard: Path) -> None:
    loose = FaceSet(find_pictures(face_folder), 80)
    for data in (shard, shard.parent):
        packed = FaceSet(find_pictures(data), 80)
        assert len(packed) == 8
        assert all(np.array_equal(loose[index], packed[index]) for index in range(8))


def test_faces_survive_pickling_and_are_kept_as_far_as_memory_goes(shard: Path) -> None:
    faces = pickle.loads(pickle.dumps(FaceSet(find_pictures(shard), 64, memory=3 * 3 * 64**2)))
    first = [faces[index] for index in range(8)]
    again = [faces[index] for index in range(8)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True] * 3 + [False] * 5


def test_subfolders_count_and_hidden_files_do_not(face_folder: Path) -> None:
    (face_folder / "more").mkdir()
    (face_folder / "0.png").rename(face_folder / "more" / "0.png")
    (face_folder / "._1.png").write_bytes(b"left by a Mac")
    assert len(find_pictures(face_folder)) == 8


def test_what_cannot_be_read_is_named(face_folder: Path, shard: Path) -> None:
    with pytest.raises(PictureError, match="nowhere"):
        find_pictures(face_folder / "nowhere")
    (face_folder / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"broken\.png"):
        find_pictures(face_folder)
    shard.write_bytes(shard.read_bytes()[:700])
    with pytest.raises(PictureError, match=r"faces-000000\.tar"):
        find_pictures(shard)


def test_picture_that_breaks_later_is_named(face_folder: Path) -> None:
    pictures = find_pictures(face_folder)
    whole = (face_folder / "2.png").read_bytes()
    (face_folder / "2.png").write_bytes(whole[:50])
    with pytest.raises(PictureError, match=r"2\.png"):
        FaceSet(pictures, 64)[2]


def test_held_out_faces_depend_on_their_names_alone(face_folder: Path) -> None:
    pictures = find_pictures(face_folder)
    train, held = hold_out(pictures, 0.5)
    assert len(train) + len(held) == 8
    assert not set(train) & set(held)
    assert set(hold_out(pictures[::2], 0.5)[1]) == set(held) & set(pictures[::2])
    assert hold_out(pictures, 0.0) == (pictures, [])
