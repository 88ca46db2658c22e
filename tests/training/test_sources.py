"""Faces from folders and shards."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core.errors import PictureError
from codeformer_core.training.sources import FaceSet, find_pictures, hold_out

EVERY = np.arange(8)
CPU = torch.device("cpu")


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
    some = faces.take(np.array([3, 1]), CPU)
    assert (some.shape, some.dtype) == ((2, 64, 64, 3), torch.uint8)
    with pytest.raises(PictureError, match="128"):
        FaceSet(pictures, 128)


def test_shards_hold_the_same_faces(face_folder: Path, shard: Path) -> None:
    loose = FaceSet(find_pictures(face_folder), 80)
    for data in (shard, shard.parent):
        packed = FaceSet(find_pictures(data), 80)
        assert len(packed) == 8
        assert torch.equal(loose.take(EVERY, CPU), packed.take(EVERY, CPU))


@pytest.mark.parametrize("expected", [True, False])
def test_faces_that_do_not_fit_into_memory_are_decoded_every_time(
    shard: Path, expected: bool
) -> None:
    kept = FaceSet(find_pictures(shard), 64)
    decoded = FaceSet(find_pictures(shard), 64, memory=3 * 64**2)
    for indices in (EVERY[:4], EVERY[2:], np.array([1, 1, 5])):
        if expected:
            decoded.expect(indices)
        assert torch.equal(decoded.take(indices, CPU), kept.take(indices, CPU))
        assert not decoded._coming


def test_faces_of_a_shard_weigh_what_their_notes_say(shard: Path) -> None:
    with tarfile.open(shard, "w") as archive:
        for name, text in (("a", b'{"weight": 0.5}'), ("b", b'{"side": 80}'), ("c", b"no JSON")):
            for suffix, data in (("json", text), ("png", png_bytes())):
                about = tarfile.TarInfo(f"{name}.{suffix}")
                about.size = len(data)
                archive.addfile(about, io.BytesIO(data))
    assert [picture.weight for picture in find_pictures(shard)] == [0.5, 1.0, 1.0]


def png_bytes() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "PNG")
    return data.getvalue()


def test_subfolders_count_and_hidden_files_do_not(face_folder: Path) -> None:
    (face_folder / "more").mkdir()
    (face_folder / "0.png").rename(face_folder / "more" / "0.png")
    (face_folder / "._1.png").write_bytes(b"left by a Mac")
    assert len(find_pictures(face_folder)) == 8


def test_hidden_shards_and_members_do_not_count(shard: Path) -> None:
    (shard.parent / "._faces-000000.tar").write_bytes(b"left by a Mac")
    with tarfile.open(shard, "a") as archive:
        about = tarfile.TarInfo("._0.png")
        about.size = 4
        archive.addfile(about, io.BytesIO(b"Mac "))
    assert len(find_pictures(shard.parent)) == 8


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
        FaceSet(pictures, 64).take(EVERY, CPU)


def test_held_out_faces_depend_on_their_names_alone(face_folder: Path) -> None:
    pictures = find_pictures(face_folder)
    train, held = hold_out(pictures, 0.5)
    assert len(train) + len(held) == 8
    assert not set(train) & set(held)
    assert set(hold_out(pictures[::2], 0.5)[1]) == set(held) & set(pictures[::2])
    assert hold_out(pictures, 0.0) == (pictures, [])


def test_names_that_are_no_text_can_be_held_out(face_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(face_folder / "0.png", os.fsdecode(b"\xff\xfe.png"))
    train, held = hold_out(find_pictures(path), 0.5)
    assert len(train) + len(held) == 1


def test_a_folder_or_shard_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=f"{tmp_path.name}: holds no picture"):
        find_pictures(tmp_path)


def test_links_that_lead_nowhere_are_named(face_folder: Path) -> None:
    (face_folder / "link.png").symlink_to(face_folder / "nothing.png")
    with pytest.raises(PictureError, match=r"link\.png"):
        find_pictures(face_folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes of that kind")
def test_pipes_are_not_waited_for(face_folder: Path) -> None:
    os.mkfifo(face_folder / "pipe.png")
    assert len(find_pictures(face_folder)) == 8


def test_links_of_a_shard_are_left_out(shard: Path) -> None:
    with tarfile.open(shard, "a") as archive:
        for kind, name, target in (
            (tarfile.SYMTYPE, "outside.png", "/etc/passwd"),
            (tarfile.SYMTYPE, "itself.png", "itself.png"),
            (tarfile.LNKTYPE, "again.png", "0.png"),
            (tarfile.FIFOTYPE, "pipe.png", ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    assert len(find_pictures(shard)) == 8


def test_a_compressed_shard_is_refused_before_it_is_unpacked(shard: Path) -> None:
    shard.write_bytes(gzip.compress(shard.read_bytes()))
    with pytest.raises(PictureError, match=r"faces-000000\.tar: a damaged shard"):
        find_pictures(shard)


def test_a_damaged_header_is_not_taken_for_the_end_of_the_shard(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    second = data.index(b"1.png\0")
    data[second + 150] ^= 1  # in its checksum
    shard.write_bytes(data)
    with pytest.raises(PictureError, match="damaged header"):
        find_pictures(shard)


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0"])
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"S"])
def test_sizes_that_cannot_be_are_refused_at_once(size: bytes, kind: bytes, shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[124:136], data[156:157], data[148:156] = size, kind, b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    shard.write_bytes(data)
    with pytest.raises(PictureError, match=r"faces-000000\.tar: a damaged shard"):
        find_pictures(shard)
