"""Writing picture files: exact round trips, metadata, atomicity and what is said to be lost."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from codeformer_core.errors import PictureError
from codeformer_core.images import (
    Block,
    Coding,
    Picture,
    atomic_write,
    read_picture,
    what_is_lost,
    write_picture,
)

GENERATOR = torch.Generator().manual_seed(0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


TEXT = Block("PNG", "text 'workflow'", b"tEXtworkflow\0{}")
COMMENT = Block("JPEG", "comment", b"\xff\xfe\0\x05you")
ARTIST = Block("TIFF", "artist", b"\1\x3bme")
XMP = Block("WEBP", "XMP", b"<x:xmpmeta/>")


def levels(bits: int, *shape: int) -> torch.Tensor:
    top = (1 << bits) - 1
    values = torch.randint(0, top + 1, shape, generator=GENERATOR)
    return (values.double() / top).float()


def some_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010F] = "a camera"
    return exif.tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_eight_bits_come_back_exactly(tmp_path, suffix):
    picture = Picture(levels(8, 7, 5, 3))
    path = tmp_path / f"a{suffix}"
    assert write_picture(path, picture) == ()
    assert torch.equal(read_picture(path).pixels, picture.pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("gray", [False, True])
def test_sixteen_bits_come_back_exactly(tmp_path, suffix, alpha, gray):
    pixels = levels(16, 7, 5, 1).expand(-1, -1, 3) if gray else levels(16, 7, 5, 3)
    picture = Picture(pixels, levels(16, 7, 5) if alpha else None, bits=16, gray=gray)
    path = tmp_path / f"a{suffix}"
    assert write_picture(path, picture) == ()
    again = read_picture(path)
    assert again.bits == 16
    assert again.gray == gray
    assert torch.equal(again.pixels, pixels)
    assert (again.alpha is not None) == alpha
    if alpha:
        assert torch.equal(again.alpha, picture.alpha)


def test_floats_come_back_exactly_from_tiff(tmp_path):
    picture = Picture(torch.linspace(-1, 3, 7 * 5 * 3).reshape(7, 5, 3), bits=32)
    write_picture(tmp_path / "a.tif", picture)
    assert torch.equal(read_picture(tmp_path / "a.tif").pixels, picture.pixels)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_metadata_survives_or_its_loss_is_said(tmp_path, suffix, bits):
    picture = Picture(
        levels(8, 7, 5, 3),
        bits=bits,
        icc_profile=PROFILE,
        exif=some_exif(),
        dpi=(300.0, 300.0),
        blocks=(TEXT, COMMENT, ARTIST, XMP),
    )
    path = tmp_path / f"a{suffix}"
    lost = " ".join(write_picture(path, picture))
    again = read_picture(path)
    assert again.icc_profile == PROFILE
    assert again.notes == ()
    for block in picture.blocks:
        assert (block in again.blocks) != (block.name in lost)
    assert (again.exif is None) == ("EXIF" in lost)
    assert (again.dpi is None) == ("dpi" in lost)
    assert (again.bits < bits) == ("bits" in lost)
    if again.exif:
        assert b"a camera" in again.exif
    if again.dpi:
        assert again.dpi == pytest.approx((300, 300), abs=0.1)


def test_what_is_too_large_for_a_jpeg_is_left_out_and_said(tmp_path):
    picture = Picture(levels(8, 7, 5, 3), exif=some_exif() + bytes(70_000))
    assert write_picture(tmp_path / "a.jpg", picture) == ("not kept: EXIF (JPEG)",)
    assert read_picture(tmp_path / "a.jpg").exif is None
    assert write_picture(tmp_path / "a.png", picture) == ()


def test_a_webp_is_without_loss_if_its_source_was(tmp_path):
    for lossless in (True, False):
        picture = Picture(levels(8, 64, 48, 3), levels(8, 64, 48), coding=Coding(lossless))
        write_picture(tmp_path / "a.webp", picture)
        again = read_picture(tmp_path / "a.webp")
        assert again.coding.lossless == lossless
        assert torch.equal(again.pixels, picture.pixels) == lossless


def test_a_webp_of_lower_quality_is_smaller(tmp_path):
    picture = Picture(levels(8, 64, 48, 3), coding=Coding(lossless=True))
    sizes = []
    for quality in (20, 90, None):
        write_picture(tmp_path / "a.webp", picture, quality=quality)
        sizes.append((tmp_path / "a.webp").stat().st_size)
    assert sizes == sorted(sizes)


def test_pixels_without_loss_that_become_a_jpeg_are_said(tmp_path):
    lost = write_picture(tmp_path / "a.jpg", Picture(levels(8, 7, 5, 3), coding=Coding(True)))
    assert lost == ("its pixels were stored without loss and are not (JPEG)",)


def test_alpha_survives_or_its_loss_is_said(tmp_path):
    picture = Picture(levels(8, 7, 5, 3), levels(8, 7, 5))
    assert write_picture(tmp_path / "a.png", picture) == ()
    assert torch.equal(read_picture(tmp_path / "a.png").alpha, picture.alpha)
    assert any("transparency" in words for words in write_picture(tmp_path / "a.jpg", picture))


def test_gray_stays_gray_only_while_its_channels_are_equal(tmp_path):
    gray = Picture(levels(8, 7, 5, 1).expand(-1, -1, 3), gray=True)
    write_picture(tmp_path / "gray.png", gray)
    with Image.open(tmp_path / "gray.png") as image:
        assert image.mode == "L"
    tinted = replace(gray, pixels=gray.pixels * torch.tensor([1.0, 0.9, 0.8]))
    write_picture(tmp_path / "tinted.png", tinted)
    with Image.open(tmp_path / "tinted.png") as image:
        assert image.mode == "RGB"


def test_gray_profile_is_said_to_be_lost_when_colours_appear():
    profile = PROFILE[:16] + b"GRAY" + PROFILE[20:]
    gray = Picture(levels(8, 7, 5, 1).expand(-1, -1, 3), gray=True, icc_profile=profile)
    assert what_is_lost(gray, "a.png") == ()
    tinted = replace(gray, pixels=gray.pixels * torch.tensor([1.0, 0.9, 0.8]))
    assert any("profile" in words for words in what_is_lost(tinted, "a.png"))


def test_values_outside_the_range_are_clamped_not_wrapped(tmp_path):
    write_picture(tmp_path / "a.png", Picture(torch.tensor([[[-0.5, 1.004, 300.0]]])))
    with Image.open(tmp_path / "a.png") as image:
        assert image.getpixel((0, 0)) == (0, 255, 255)


def test_one_pixel_picture(tmp_path):
    for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp"):
        write_picture(tmp_path / f"a{suffix}", Picture(torch.full((1, 1, 3), 0.5)))
        assert read_picture(tmp_path / f"a{suffix}").pixels.shape == (1, 1, 3)


def test_nan_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(PictureError, match="not numbers"):
        write_picture(tmp_path / "a.png", Picture(torch.full((2, 2, 3), torch.nan)))
    assert list(tmp_path.iterdir()) == []


def test_unknown_ending_names_the_choices(tmp_path):
    with pytest.raises(PictureError, match=r"\.png"):
        write_picture(tmp_path / "a.xyz", Picture(torch.zeros(2, 2, 3)))


def test_too_large_for_the_format_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(PictureError, match=r"a\.webp"):
        write_picture(tmp_path / "a.webp", Picture(torch.zeros(1, 17000, 3)))
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(PictureError, match="folder does not exist"):
        write_picture(tmp_path / "nowhere" / "a.png", Picture(torch.zeros(2, 2, 3)))


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "no space")])
def test_stopped_write_keeps_the_old_file_and_leaves_no_other(tmp_path, stop):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise stop

    kind = PictureError if isinstance(stop, OSError) else KeyboardInterrupt
    with pytest.raises(kind, match="disk is full" if kind is PictureError else None):
        write_half()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_nothing_carries_the_name_before_the_write_is_complete(tmp_path):
    with atomic_write(tmp_path / "a.png") as file:
        file.write(b"half")
        assert not (tmp_path / "a.png").exists()
    assert (tmp_path / "a.png").read_bytes() == b"half"


def test_written_file_has_ordinary_permissions(tmp_path):
    write_picture(tmp_path / "a.png", Picture(torch.zeros(2, 2, 3)))
    (tmp_path / "plain").touch()
    modes = [Path(tmp_path / name).stat().st_mode for name in ("a.png", "plain")]
    assert modes[0] == modes[1]


def test_sixteen_bit_png_is_read_by_other_programs(tmp_path):
    cv2 = pytest.importorskip("cv2")
    pixels = levels(16, 7, 5, 3)
    write_picture(tmp_path / "a.png", Picture(pixels, bits=16))
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read[..., ::-1], np.rint(pixels.double().numpy() * 65535))
