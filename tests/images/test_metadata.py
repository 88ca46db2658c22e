"""What stands beside the pixels: what is kept as it is, and what is dropped and said."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from codeformer_core.images import Block, read_picture
from codeformer_core.images.exif import with_orientation
from codeformer_core.images.metadata import Metadata, turned_back, with_metadata

RGB8 = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def orientation_exif(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010F] = "a camera"
    return exif.tobytes()


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk."""
    buffer = io.BytesIO()
    Image.fromarray(RGB8).save(buffer, "PNG")
    data, sealed = buffer.getvalue(), struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + struct.pack(">I", len(body)) + kind + body + sealed + data[33:]


@pytest.mark.parametrize("keyword", ["Raw profile type exif", "Raw profile type xmp"])
def test_metadata_hidden_in_text_is_dropped_and_said(tmp_path, keyword):
    info = PngInfo()
    info.add_text(keyword, f"\nexif\n  26\n{orientation_exif(6)[6:].hex()}\n", zip=True)
    Image.fromarray(RGB8).save(tmp_path / "a.png", pnginfo=info)
    picture = read_picture(tmp_path / "a.png")
    assert picture.blocks == ()
    assert any(keyword in note for note in picture.notes)


def test_content_credentials_are_dropped_and_said(tmp_path):
    (tmp_path / "a.png").write_bytes(with_chunk(b"caBX", b"jumb"))
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", extra=b"\xff\xeb\0\x08JPjumb")
    for name in ("a.png", "a.jpg"):
        picture = read_picture(tmp_path / name)
        assert picture.blocks == ()
        assert any("content credentials" in note for note in picture.notes)


@pytest.mark.parametrize("kind", [b"cICP", b"gAMA", b"cHRM", b"cLLI", b"mDCV", b"sRGB"])
def test_colours_of_a_png_are_kept(tmp_path, kind):
    (tmp_path / "a.png").write_bytes(with_chunk(kind, bytes(32)))
    expected = Block("PNG", kind.decode(), kind + bytes(32))
    assert read_picture(tmp_path / "a.png").blocks == (expected,)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_exif_and_xmp_is_set_and_set_back(tmp_path, orientation):
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="%d"/>' % orientation
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    exif = orientation_exif(orientation)
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", exif=exif, extra=segment)
    upright = read_picture(tmp_path / "a.jpg")
    assert upright.exif == with_orientation(exif, 1)
    assert b'Orientation="1"' in upright.blocks[0].content
    back = turned_back(upright, orientation)
    assert back.exif == exif
    assert back.blocks[0].content == segment


def test_the_rest_of_a_picture_is_not_touched(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert with_metadata(picture, Metadata()) == picture
