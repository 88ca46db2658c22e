"""JPEG in, JPEG out: what no face has touched comes back as it was."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from codeformer_core.images import Picture, read_picture, write_picture
from codeformer_core.images.jpeg import holds_luma

FACE = (slice(64, 112), slice(80, 128))
"""What is changed, as a restored face would be."""
REACH = 17
"""Pixels around it that share its blocks of 16, or the colours of these."""


@pytest.fixture
def blocks() -> None:
    """What keeps blocks must be there."""
    pytest.importorskip("jpeglib")


@pytest.fixture(scope="module")
def photo(astronaut) -> Image.Image:
    """No multiple of a block, with saturated parts, which no re-encoding keeps."""
    return Image.fromarray((astronaut[:237, 150:405] * 255).byte().numpy())


def save(folder: Path, photo: Image.Image, orientation: int = 1, **options: Any) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = folder / "before.jpg"
    photo.save(path, **({"exif": exif, "quality": 85} | options))
    return path


def changed(picture: Picture) -> Picture:
    pixels = picture.pixels.clone()
    pixels[FACE] = 1 - pixels[FACE] / 2
    return replace(picture, pixels=pixels)


def upright(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)


def outside(shape: tuple[int, ...]) -> np.ndarray:
    far = np.ones(shape[:2], bool)
    rows, columns = FACE
    far[rows.start - REACH : rows.stop + REACH, columns.start - REACH : columns.stop + REACH] = (
        False
    )
    return far


def check_outside(before: Path, after: Path) -> None:
    """Not one pixel differs outside of the changed blocks, and those are changed."""
    old, new = upright(before), upright(after)
    far = outside(old.shape)
    assert np.array_equal(old[far], new[far])
    wanted = (changed(read_picture(before)).pixels[FACE] * 255).round().numpy()
    assert np.abs(new[FACE] - wanted).mean() < 8


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [75, 90, 100])
def test_not_one_pixel_changes_outside_of_the_changed_blocks(tmp_path, photo, subsampling, quality):
    before = save(tmp_path, photo, quality=quality, subsampling=subsampling)
    after = tmp_path / "after.jpg"
    assert write_picture(after, changed(read_picture(before))) == ()
    check_outside(before, after)
    with Image.open(before) as old, Image.open(after) as new:
        assert new.quantization == old.quantization
        assert new.layer == old.layer
    assert after.stat().st_size < 1.15 * before.stat().st_size


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("quality", [5, 30, 60])
def test_coarse_tables_are_divided_for_the_face_and_keep_the_rest(tmp_path, photo, quality):
    before = save(tmp_path, photo, quality=quality)
    write_picture(tmp_path / "after.jpg", changed(read_picture(before)))
    check_outside(before, tmp_path / "after.jpg")
    with Image.open(before) as old, Image.open(tmp_path / "after.jpg") as new:
        for place, table in old.quantization.items():
            steps = np.divide(table, new.quantization[place])
            assert np.array_equal(steps, steps.round())
            assert steps.mean() > 1


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"restart_marker_blocks": 3}, {"optimize": True}, {"quality": "gray"}],
    ids=str,
)
def test_other_ways_to_code_the_blocks(tmp_path, photo, options):
    if options.pop("quality", None) == "gray":
        photo = photo.convert("L")
    before = save(tmp_path, photo, **options)
    assert write_picture(tmp_path / "after.jpg", changed(read_picture(before))) == ()
    check_outside(before, tmp_path / "after.jpg")
    assert Image.open(tmp_path / "after.jpg").mode == photo.mode


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_stay_stored_as_they_are(tmp_path, photo, orientation):
    before = save(tmp_path, photo, orientation)
    assert write_picture(tmp_path / "after.jpg", changed(read_picture(before))) == ()
    check_outside(before, tmp_path / "after.jpg")
    assert Image.open(tmp_path / "after.jpg").getexif()[0x0112] == orientation
    assert Image.open(tmp_path / "after.jpg").size == photo.size


@pytest.mark.usefixtures("blocks")
def test_without_a_change_every_pixel_is_the_same(tmp_path, photo):
    before = save(tmp_path, photo)
    write_picture(tmp_path / "after.jpg", read_picture(before))
    assert np.array_equal(upright(before), upright(tmp_path / "after.jpg"))


def test_without_the_package_that_is_said_and_the_tables_are_kept(tmp_path, photo, monkeypatch):
    monkeypatch.setitem(sys.modules, "jpeglib", None)
    before = save(tmp_path, photo)
    (lost,) = write_picture(tmp_path / "after.jpg", changed(read_picture(before)))
    assert "changed by rounding" in lost
    assert "pip install jpeglib" in lost
    old, new = upright(before), upright(tmp_path / "after.jpg")
    far = outside(old.shape)
    assert 0 < (old != new).any(2)[far].mean() < 0.4
    with Image.open(before) as image, Image.open(tmp_path / "after.jpg") as result:
        assert result.quantization == image.quantization


def test_an_enlarged_picture_has_the_tables_and_nothing_to_keep(tmp_path, photo):
    before = save(tmp_path, photo)
    picture = read_picture(before)
    larger = picture.pixels.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert write_picture(tmp_path / "after.jpg", replace(picture, pixels=larger)) == ()
    assert read_picture(tmp_path / "after.jpg").pixels.shape == larger.shape


def test_a_quality_asked_for_is_taken(tmp_path, photo):
    before = save(tmp_path, photo)
    sizes = []
    for quality in (30, 95):
        write_picture(tmp_path / "after.jpg", read_picture(before), quality=quality)
        sizes.append((tmp_path / "after.jpg").stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_a_gray_photo_that_gets_colours_is_written_in_colour(tmp_path, photo):
    picture = read_picture(save(tmp_path, photo.convert("L")))
    tinted = replace(picture, pixels=picture.pixels * torch.tensor([1.0, 0.9, 0.8]))
    write_picture(tmp_path / "after.jpg", tinted)
    assert Image.open(tmp_path / "after.jpg").mode == "RGB"


@pytest.mark.usefixtures("blocks")
def test_metadata_and_resolution_survive_the_exchange_of_blocks(tmp_path, photo):
    profile = b"\0" * 16 + b"RGB " + bytes(70_000)  # in two segments
    comment = b"\xff\xfe\0\x05you"
    before = save(tmp_path, photo, icc_profile=profile, dpi=(300, 299), extra=comment)
    write_picture(tmp_path / "after.jpg", changed(read_picture(before)))
    with Image.open(before) as old, Image.open(tmp_path / "after.jpg") as new:
        assert new.info["icc_profile"] == profile
        assert new.info["dpi"] == (300, 299)
        assert [name for name, _ in new.applist] == [name for name, _ in old.applist]


def test_a_photo_that_loses_its_long_exif_stays_upright(tmp_path, photo):
    picture = changed(read_picture(save(tmp_path, photo.transpose(Image.ROTATE_90), orientation=6)))
    long = replace(picture, exif=picture.exif + bytes(70_000))
    assert any("EXIF" in note for note in write_picture(tmp_path / "after.jpg", long))
    with Image.open(tmp_path / "after.jpg") as after:
        assert after.size == photo.size
        assert after.getexif().get(0x0112, 1) == 1


@pytest.mark.usefixtures("blocks")
def test_red_green_and_blue_are_not_taken_for_luma_and_chroma(tmp_path, photo):
    before, after = save(tmp_path, photo, keep_rgb=True), tmp_path / "after.jpg"
    write_picture(after, changed(read_picture(before)))
    old, new = upright(before), upright(after)
    assert np.abs(new - old)[outside(old.shape)].mean() < 3
    with Image.open(before) as image:
        assert not holds_luma(image)
        image.info.pop("adobe")
        assert not holds_luma(image)  # the names of the components tell
        image.info["jfif"] = 257
        assert holds_luma(image)


def test_cmyk_has_no_blocks_to_keep(tmp_path, photo):
    path = tmp_path / "before.jpg"
    photo.convert("CMYK").save(path)
    picture = read_picture(path)
    assert picture.coding.jpeg is None
    assert write_picture(tmp_path / "after.jpg", picture) == ()


def test_a_picture_made_in_python_is_written_finely(tmp_path):
    pixels = torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0))
    write_picture(tmp_path / "a.jpg", Picture(pixels))
    fine = io.BytesIO()
    Image.new("RGB", (8, 8)).save(fine, "JPEG", quality=95)
    assert Image.open(tmp_path / "a.jpg").quantization == Image.open(fine).quantization
