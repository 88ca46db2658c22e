"""Reading picture files: precision, orientation, channels, metadata and damage."""

import os
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from codeformer_core.errors import PictureError
from codeformer_core.images import read_picture, reading

RGB8 = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
RGBA16 = np.random.default_rng(1).integers(0, 65536, (6, 9, 4), dtype=np.uint16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(pixels: np.ndarray, extra: bytes = b"") -> bytes:
    """A 16-bit PNG made without the code under test."""
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows.tobytes()))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def orientation_exif(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010F] = "a camera"
    return exif.tobytes()


def test_eight_bit_rgb_is_exact(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.bits == 8
    assert not picture.gray
    assert picture.alpha is None
    assert picture.notes == ()
    assert picture.pixels.dtype == torch.float32
    assert np.array_equal((picture.pixels * 255).round().numpy().astype(np.uint8), RGB8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_keeps_every_bit(tmp_path, channels):
    (tmp_path / "a.png").write_bytes(png16(RGBA16[..., :channels]))
    picture = read_picture(tmp_path / "a.png")
    colours = RGBA16[..., : channels - (channels in (2, 4))]
    assert picture.bits == 16
    assert picture.gray == (channels <= 2)
    expected = np.broadcast_to(colours, (6, 9, 3))
    assert np.array_equal((picture.pixels.double() * 65535).round().numpy(), expected)
    if channels in (2, 4):
        alpha = (picture.alpha.double() * 65535).round().numpy()
        assert np.array_equal(alpha, RGBA16[..., channels - 1])
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_orientation_is_applied_like_pillow_does(tmp_path, orientation, deep):
    exif = orientation_exif(orientation)
    if deep:
        (tmp_path / "a.png").write_bytes(png16(RGBA16[..., :3], chunk(b"eXIf", exif[6:])))
        levels = (RGBA16[..., :3] / 65535).astype(np.float32)
    else:
        Image.fromarray(RGB8).save(tmp_path / "a.png", exif=exif)
        levels = (RGB8 / 255).astype(np.float32)
    transposes = [None, 0, 3, 1, 5, 4, 6, 2]
    method = transposes[orientation - 1]
    planes = [Image.fromarray(np.ascontiguousarray(levels[..., i])) for i in range(3)]
    turned = [p if method is None else p.transpose(Image.Transpose(method)) for p in planes]
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels.numpy(), np.stack(turned, axis=-1))


@pytest.mark.parametrize("pixels", [RGB8, RGBA16[..., 0], RGBA16[..., :3], RGB8 / np.float32(255)])
def test_orientation_of_a_tiff_is_applied_once(tmp_path, pixels):
    tag = (0x0112, 3, 1, 6, True)
    kind = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, metadata=None, extratags=[tag])
    whole = pixels / (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max)
    turned = np.rot90(np.atleast_3d(whole), -1)
    read = read_picture(tmp_path / "a.tif").pixels
    assert np.allclose(read, np.broadcast_to(turned, read.shape), atol=1e-6)


def test_orientation_becomes_one_and_the_rest_of_the_exif_stays(tmp_path):
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", exif=orientation_exif(6))
    block = read_picture(tmp_path / "a.jpg").exif
    exif = Image.Exif()
    exif.load(block)
    assert exif[0x0112] == 1
    assert exif[0x010F] == "a camera"


@pytest.mark.parametrize("damage", [b"MM\0*\xff\xff\xff\xff", b"MM\0\xaa\0\0\0\x08\0\0"])
def test_exif_that_cannot_be_parsed_is_dropped(tmp_path, damage):
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + damage)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.exif is None
    assert any("EXIF metadata is damaged" in note for note in picture.notes)


def test_palette_with_transparency_becomes_rgba(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=1)
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.tolist() == [[[1, 0, 0], [0, 1, 0]]]
    assert picture.alpha.tolist() == [[1, 0]]


def test_one_bit_picture_is_gray(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.gray
    assert picture.pixels.tolist() == [[[0, 0, 0], [1, 1, 1]]]


def test_cmyk_becomes_rgb_and_says_so(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    picture = read_picture(tmp_path / "a.jpg")
    red, green, blue = picture.pixels[0, 0].tolist()
    assert red > 0.95
    assert green < 0.05
    assert blue < 0.05
    assert any("CMYK" in note for note in picture.notes)


def test_only_the_first_frame_is_used_and_that_is_said(tmp_path):
    frames = [Image.new("L", (3, 2), value) for value in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.gif")
    assert float(picture.pixels.max()) == 0
    assert any("first of its 2 frames" in note for note in picture.notes)


def test_profile_and_resolution_are_read(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", icc_profile=profile, dpi=(300, 150))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.icc_profile == profile
    assert picture.dpi == (300, 150)


def test_profile_of_other_channels_is_dropped_and_said(tmp_path):
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    Image.fromarray(RGB8).save(tmp_path / "a.jpg", icc_profile=bytes(profile))
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.icc_profile is None
    assert any("profile" in note for note in picture.notes)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere\.png: there is no such file"):
        read_picture(tmp_path / "nowhere.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes of that kind")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"a\.png: .*pipe"):
        read_picture(tmp_path / "a.png")


def test_no_program_is_started_for_formats_that_need_one(tmp_path, monkeypatch):
    def started(*arguments, **options):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", started)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")
    with pytest.raises(PictureError, match=r"a\.png: a drawing or document cannot be read"):
        read_picture(path)


def test_text_file_is_no_picture(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(PictureError, match=r"a\.jpg: not a picture"):
        read_picture(tmp_path / "a.jpg")


def test_absurdly_large_header_is_refused_before_decoding(tmp_path):
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    with pytest.raises(PictureError, match="10000 megapixels are more than the limit of 179"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize(("suffix", "package"), [(".png", "cv2"), (".tif", "tifffile")])
def test_a_missing_package_is_said_not_taken_for_damage(tmp_path, monkeypatch, suffix, package):
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        path.write_bytes(png16(RGBA16[..., :3]))
    else:
        tifffile.imwrite(path, RGBA16[..., :3], photometric="rgb")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PictureError, match="pip install"):
        read_picture(path)


def test_tiff_that_promises_more_than_it_holds_is_refused_at_once(tmp_path):
    path = tmp_path / "a.tif"
    pixels = np.zeros((6, 9, 3), np.float32)
    tifffile.imwrite(path, pixels, photometric="rgb", rowsperstrip=1)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags["ImageLength"].overwrite(400_000)
    with pytest.raises(PictureError, match=r"a\.tif: .*parts of it are missing"):
        read_picture(path)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags["ImageLength"].overwrite(400_000_000)
    with pytest.raises(PictureError, match="megapixels are more than the limit"):
        read_picture(path)


@pytest.mark.parametrize("start", [b"IDAT", b"jp2h"])
def test_no_more_memory_is_taken_than_a_file_has_bytes(tmp_path, start):
    path = tmp_path / ("a.png" if start == b"IDAT" else "a.jp2")
    Image.fromarray(RGB8).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(start)
    data[place - 4 : place] = b"\x7f\xff\xff\xff"  # the length of this part
    path.write_bytes(data)
    tracemalloc.start()
    try:
        read_picture(path)  # of the PNG every pixel is there
    except PictureError as error:
        assert "only got" in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_absurd_resolution_and_empty_text_are_left_out(tmp_path):
    pixels = png16(RGBA16[..., :3], chunk(b"pHYs", b"\xff" * 8 + b"\1"))
    (tmp_path / "a.png").write_bytes(pixels)
    assert read_picture(tmp_path / "a.png").dpi is None
    tags = [(315, 2, 3, b"\0\0\0", True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB8, photometric="rgb", metadata=None, extratags=tags)
    assert not any(block.name == "artist" for block in read_picture(tmp_path / "a.tif").blocks)


def test_damage_shows_as_our_error_only(tmp_path, capsys, caplog):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((6, 9, 3), np.float32), photometric="rgb")
    damaged = bytearray(path.read_bytes())
    damaged[12:40] = b"\xff" * 28
    path.write_bytes(damaged)
    with pytest.raises(PictureError, match=r"a\.tif"):
        read_picture(path)
    assert caplog.records == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_the_limit_of_pixels_is_said_with_what_lifts_it(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.zeros((1100, 1000, 3), np.uint8)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500_000)
    monkeypatch.setattr(reading, "MOST_MEGAPIXELS", 1.0)
    with pytest.raises(PictureError) as error:
        read_picture(path)
    message = str(error.value)
    assert "1 megapixels are more than the limit of 1" in message
    assert "--max-megapixels 2 lifts it" in message
    assert "bytes a pixel" in message
    assert "\n" not in message
    assert read_picture(path, max_megapixels=2).pixels.shape == (1100, 1000, 3)
    assert Image.MAX_IMAGE_PIXELS == 500_000


def test_a_limit_can_be_lower_too(tmp_path):
    Image.fromarray(np.zeros((1100, 1000, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(PictureError, match="more than the limit of 1"):
        read_picture(tmp_path / "a.png", max_megapixels=1)
