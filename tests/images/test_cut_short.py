"""Files that are cut short are read as far as they go, and what is missing is named."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core.errors import PictureError
from codeformer_core.images import Picture, read_picture, write_picture

SIDE = 128


@pytest.fixture(scope="module")
def photo(astronaut) -> Image.Image:
    return Image.fromarray((astronaut[:SIDE, 200 : 200 + SIDE] * 255).byte().numpy())


def missing(path: Path) -> tuple[int, int]:
    """First and last row that is said to be missing, from 1."""
    (note,) = read_picture(path).notes
    found = re.search(r"cut short: rows (\d+) to (\d+) of 128 are missing or incomplete", note)
    assert found, note
    return int(found[1]), int(found[2])


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def pixels_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32)) / 255


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_without_its_end_marker_is_whole(tmp_path, photo, subsampling, mode):
    path = tmp_path / "a.jpg"
    photo.convert(mode).save(path, subsampling=subsampling)
    whole = read_picture(path).pixels
    path.write_bytes(path.read_bytes()[:-2])
    picture = read_picture(path)
    assert torch.equal(picture.pixels, whole)
    assert picture.notes == ("the file has no end, but every pixel is there",)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_cut_short_keeps_its_beginning(tmp_path, photo, share, subsampling):
    path = tmp_path / "a.jpg"
    photo.save(path, quality=90, subsampling=subsampling)
    whole = read_picture(path).pixels
    cut(path, share)
    first, last = missing(path)
    assert SIDE * (share - 0.3) < first < SIDE * (share + 0.2)
    assert last == SIDE
    sound = first - 1 - first % 16
    assert torch.equal(read_picture(path).pixels[:sound], whole[:sound])
    assert (read_picture(path).pixels[-1] - 0.5).abs().max() < 0.01, "what is missing is gray"


def test_a_progressive_jpeg_cut_short_is_coarse(tmp_path, photo):
    path = tmp_path / "a.jpg"
    photo.save(path, quality=90, progressive=True)
    whole = read_picture(path).pixels
    cut(path, 0.7)
    missing(path)
    assert float((read_picture(path).pixels - whole).abs().mean()) < 0.05


def test_what_is_written_of_a_cut_jpeg_is_whole_again(tmp_path, photo):
    pytest.importorskip("jpeglib")
    path = tmp_path / "a.jpg"
    photo.save(path, quality=90)
    cut(path, 0.6)
    picture = read_picture(path)
    write_picture(tmp_path / "b.jpg", picture)
    assert read_picture(tmp_path / "b.jpg").notes == ()
    assert torch.equal(read_picture(tmp_path / "b.jpg").pixels, picture.pixels)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_png_cut_short_keeps_its_beginning(tmp_path, photo, bits, mode):
    path = tmp_path / "a.png"
    if bits == 8:
        photo.convert(mode).save(path)
    elif mode == "P":
        pytest.skip("palettes have 8 bits")
    else:
        pixels = pixels_of(photo.convert("L") if mode == "L" else photo)
        alpha = torch.ones(SIDE, SIDE) if mode == "RGBA" else None
        write_picture(path, Picture(pixels, alpha, bits=16, gray=mode == "L"))
    whole = read_picture(path).pixels
    cut(path, 0.6)
    first, last = missing(path)
    assert SIDE * 0.4 < first < SIDE * 0.8
    assert last == SIDE
    assert torch.equal(read_picture(path).pixels[: first - 1], whole[: first - 1])
    assert read_picture(path).bits == bits


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tga", ".pgm"])
def test_plain_pixels_cut_short(tmp_path, photo, suffix):
    path = tmp_path / f"a{suffix}"
    image = photo.convert("L") if suffix == ".pgm" else photo
    image.save(path)
    cut(path, 0.75)
    first, last = missing(path)
    if suffix in (".bmp", ".tga"):  # stored from the bottom
        assert (first, last) == (1, pytest.approx(SIDE / 4, abs=2))
    else:
        assert (first, last) == (pytest.approx(SIDE * 3 / 4, abs=2), SIDE)
    read, whole = read_picture(path).pixels, pixels_of(image)
    sound = slice(last, None) if first == 1 else slice(None, first - 1)
    assert torch.equal(read[sound], whole[sound])


def test_a_deep_ppm_cut_short(tmp_path):
    numbers = np.random.default_rng(0).integers(0, 4096, (SIDE, SIDE, 3)).astype(">u2")
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 128 128 4095\n" + numbers.tobytes()[: numbers.nbytes // 2])
    assert missing(path) == (SIDE // 2 + 1, SIDE)
    assert np.allclose(read_picture(path).pixels[: SIDE // 2], numbers[: SIDE // 2] / 4095)


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".avif"])
def test_what_the_decoder_cannot_do_is_said_to_be_cut_short(tmp_path, photo, suffix):
    if suffix not in Image.registered_extensions():
        pytest.skip("this Pillow knows no AVIF")
    path = tmp_path / f"a{suffix}"
    photo.save(path)
    cut(path, 0.6)
    with pytest.raises(PictureError, match=rf"a\{suffix}: .*cut short"):
        read_picture(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm", ".webp", ".tif"])
def test_a_file_that_ends_in_its_header_is_an_error(tmp_path, photo, suffix):
    path = tmp_path / f"a{suffix}"
    photo.save(path)
    for length in (3, 12, 20, 26, 60):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(PictureError, match=path.name):
            read_picture(path)
        photo.save(path)


def test_damage_in_the_middle_of_a_png_is_no_cut(tmp_path, photo):
    path = tmp_path / "a.png"
    photo.save(path)
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 200
    data[start : start + 50] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(PictureError, match="damaged"):
        read_picture(path)


def test_a_length_beyond_the_end_takes_no_memory(tmp_path, photo):
    path = tmp_path / "a.png"
    photo.save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT") - 4
    data[place : place + 4] = struct.pack(">I", 0x7FFFFFFF)
    path.write_bytes(data)
    assert "cut short" in " ".join(read_picture(path).notes) or read_picture(path).notes == ()
