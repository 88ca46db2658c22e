"""Which kinds of files are read, and what is said of the others."""

import pytest
from PIL import Image

from codeformer_core.errors import PictureError
from codeformer_core.images import kinds, picture_files, read_picture, readable_suffixes
from codeformer_core.images.kinds import UNREAD, unread_kind


@pytest.mark.parametrize(
    "suffix",
    [
        ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".tif", ".tiff", ".bmp",
        ".dib", ".gif", ".jp2", ".j2k", ".jpx", ".pnm", ".pbm", ".pgm", ".ppm", ".tga", ".pcx",
        ".sgi", ".qoi",
    ],
)  # fmt: skip
def test_endings_of_what_pillow_reads_count(suffix):
    assert suffix in readable_suffixes()


@pytest.mark.parametrize(
    ("package", "suffix"),
    [("pillow_heif", ".heic"), ("pillow_heif", ".hif"), ("pillow_jxl", ".jxl")],
)
def test_endings_of_the_extra_packages_count_where_they_are(package, suffix):
    pytest.importorskip(package)
    assert suffix in readable_suffixes()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC cannot be read yet: pip install pillow-heif"),
        (b"\0\0\0\x18ftypmif1", "HEIC cannot be read yet: pip install pillow-heif"),
        (b"\xff\x0a\0\0", "JPEG XL cannot be read yet: pip install pillow-jxl-plugin"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL cannot be read yet: pip install pillow-jxl-plugin"),
        (b"\0\0\0\x18ftypcrx ", "camera raw cannot be read: develop it into a TIFF or JPEG first"),
        (b"8BPS\0\1", "a file with layers cannot be read: export it as PNG or TIFF first"),
        (b"%PDF-1.7", "a drawing or document cannot be read: export it as PNG first"),
        (b"hello", "not a picture this program can read"),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_a_file_is_told_by_what_it_holds(tmp_path, monkeypatch, start, words, name):
    bare = frozenset({".png"})
    monkeypatch.setattr("codeformer_core.images.reading.readable_suffixes", lambda: bare)
    monkeypatch.setattr("codeformer_core.images.reading.readable_formats", lambda: ("PNG",))
    (tmp_path / name).write_bytes(start + bytes(100))
    with pytest.raises(PictureError, match=words):
        read_picture(tmp_path / name)


def test_every_kind_that_is_not_read_has_a_remedy_and_endings():
    for kind in UNREAD:
        assert kind.remedy
        assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in kind.suffixes)
    assert len({suffix for kind in UNREAD for suffix in kind.suffixes}) == sum(
        len(kind.suffixes) for kind in UNREAD
    )
    assert unread_kind(kinds.Path("A.CR2")).name == "camera raw"
    assert unread_kind(kinds.Path("notes.txt")) is None


def test_pictures_of_a_folder_without_hidden_and_other_files(tmp_path):
    for name in ("b.png", "a.JPE", "c/d.mpo", ".e.png", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in picture_files(tmp_path)]
    assert names == ["a.JPE", "b.png", "c/d.mpo"]


@pytest.mark.parametrize(
    "suffix", [".pcx", ".sgi", ".qoi", ".tga", ".dib", ".jpe", ".jfif", ".mpo"]
)
def test_rarer_formats_are_read(tmp_path, suffix):
    image = Image.linear_gradient("L").resize((32, 24)).convert("RGB")
    if Image.registered_extensions()[suffix] not in Image.SAVE:
        pytest.skip("this Pillow cannot write it")
    image.save(tmp_path / f"a{suffix}")
    picture = read_picture(tmp_path / f"a{suffix}")
    assert picture.pixels.shape == (24, 32, 3)
    assert picture.coding.lossless == (suffix not in (".jpe", ".jfif", ".mpo"))
