"""More than 8 bits a channel, of every format that holds them."""

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from codeformer_core.images import read_picture, write_picture

SIDE = 48
UNIT = np.linspace(0, 1, SIDE * SIDE * 4).reshape(SIDE, SIDE, 4)


def whole(bits: int, channels: int = 3) -> np.ndarray:
    return (UNIT[..., :channels] * ((1 << bits) - 1)).round().astype(np.uint16)


@pytest.mark.parametrize("white", [511, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [b"P5", b"P6"])
def test_ppm(tmp_path, white, kind):
    numbers = (UNIT[..., : 1 if kind == b"P5" else 3] * white).round().astype(">u2")
    header = b"%s\n# a remark\n%d %d %d\n" % (kind, SIDE, SIDE, white)
    (tmp_path / "a.ppm").write_bytes(header + numbers.tobytes())
    picture = read_picture(tmp_path / "a.ppm")
    assert picture.bits == 16
    assert picture.coding.lossless
    assert picture.notes == ()
    expected = np.broadcast_to(numbers / white, picture.pixels.shape)
    assert np.allclose(picture.pixels, expected, rtol=0, atol=1e-5)


def test_a_ppm_of_digits_is_cut_and_that_is_said(tmp_path):
    digits = " ".join(map(str, whole(12).ravel()))
    (tmp_path / "a.ppm").write_text(f"P3\n{SIDE} {SIDE} 4095\n{digits}\n")
    picture = read_picture(tmp_path / "a.ppm")
    assert np.allclose(picture.pixels, UNIT[..., :3], atol=0.003)
    assert picture.notes == ("its 12 bits a channel became 8; save it as a binary PPM",)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("here", [True, False])
def test_avif(tmp_path, monkeypatch, bits, here):
    imagecodecs = pytest.importorskip("imagecodecs")
    encoded = imagecodecs.avif_encode(whole(bits), level=100, bitspersample=bits)
    check(tmp_path / "a.avif", encoded, bits, here, monkeypatch, atol=0.004)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_jpeg_2000(tmp_path, capfd, bits, channels):
    imagecodecs = pytest.importorskip("imagecodecs")
    numbers = whole(bits, channels)
    encoded = imagecodecs.jpeg2k_encode(
        numbers if channels > 1 else numbers[..., 0], level=0, codecformat="JP2", bitspersample=bits
    )
    (tmp_path / "a.jp2").write_bytes(encoded)
    picture = read_picture(tmp_path / "a.jp2")
    assert picture.bits == 16
    assert picture.gray == (channels == 1)
    expected = np.broadcast_to(numbers[..., :3], picture.pixels.shape) / ((1 << bits) - 1)
    assert np.allclose(picture.pixels, expected, rtol=0, atol=1e-5)
    assert (picture.alpha is not None) == (channels == 4)
    assert capfd.readouterr().err == ""


def check(path, encoded: bytes, bits: int, here: bool, monkeypatch, atol: float) -> None:
    if path.suffix not in Image.registered_extensions():
        pytest.skip("this Pillow knows no AVIF")
    path.write_bytes(encoded)
    if not here:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    picture = read_picture(path)
    assert picture.bits == (16 if here else 8)
    expected = whole(bits) / ((1 << bits) - 1)
    assert np.allclose(picture.pixels, expected, rtol=0, atol=atol if here else 0.01)
    said = f"its {bits} bits a channel became 8; pip install imagecodecs keeps them"
    assert picture.notes == (() if here else (said,))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
def test_jpeg_xl(tmp_path, bits, channels):
    pytest.importorskip("pillow_jxl")
    imagecodecs = pytest.importorskip("imagecodecs")
    numbers = whole(bits, channels).astype(np.uint8 if bits == 8 else np.uint16)
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(numbers, lossless=True))
    picture = read_picture(tmp_path / "a.jxl")
    assert picture.bits == bits
    white = (1 << bits) - 1
    assert np.allclose(picture.pixels, numbers[..., :3] / white, rtol=0, atol=1e-6)
    assert (picture.alpha is not None) == (channels == 4)


def test_jpeg_xl_keeps_a_profile_and_ignores_the_orientation_of_its_exif(tmp_path):
    """The format says so: its own orientation has been applied."""
    pytest.importorskip("pillow_jxl")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray((UNIT[:, :20, :3] * 255).astype(np.uint8))
    image.save(tmp_path / "a.jxl", lossless=True, exif=exif.tobytes(), icc_profile=profile)
    picture = read_picture(tmp_path / "a.jxl")
    assert picture.pixels.shape == (SIDE, 20, 3)
    assert picture.icc_profile is not None


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_heic(tmp_path, bits):
    pillow_heif = pytest.importorskip("pillow_heif")
    deep = (UNIT[..., :3] * 65535).astype(np.uint16)
    opened = pillow_heif.from_bytes("RGB;16", (SIDE, SIDE), deep.tobytes())
    if bits == 8:
        eight = (UNIT[..., :3] * 255).astype(np.uint8)
        opened = pillow_heif.from_bytes("RGB", (SIDE, SIDE), eight.tobytes())
    opened.save(tmp_path / "a.heic", quality=-1, bit_depth=bits)
    picture = read_picture(tmp_path / "a.heic")
    assert picture.bits == (8 if bits == 8 else 16)
    assert np.allclose(picture.pixels, UNIT[..., :3], rtol=0, atol=0.02)
    assert picture.notes == ()


def test_heic_is_turned_once(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.register_heif_opener()
    image = Image.new("RGB", (32, 16), "white")
    image.paste("black", (0, 0, 16, 16))
    image.save(tmp_path / "a.heic", exif=exif.tobytes(), quality=90)
    picture = read_picture(tmp_path / "a.heic")
    assert picture.pixels.shape == (32, 16, 3)
    assert float(picture.pixels[:12].max()) < 0.2, "the left half is on top"
    write_picture(tmp_path / "a.png", picture)
    assert Image.open(tmp_path / "a.png").getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("gray", [False, True])
def test_one_shade_of_sixteen_bits_that_stands_for_nothing(tmp_path, gray):
    cv2 = pytest.importorskip("cv2")
    pixels = whole(16, 1 if gray else 3)
    pixels[:8] = 258 if gray else (1, 2, 3)
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    body = struct.pack(">H", 258) if gray else struct.pack(">HHH", 1, 2, 3)
    chunk = struct.pack(">I", len(body)) + b"tRNS" + body
    chunk += struct.pack(">I", zlib.crc32(b"tRNS" + body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    picture = read_picture(tmp_path / "a.png")
    assert np.allclose(picture.pixels, pixels / 65535, atol=1e-6)
    assert float(picture.alpha[:8].max()) == 0
    assert float(picture.alpha[8:].min()) == 1
    assert picture.gray == gray
