"""Pictures as people have them through `codeformer restore`: what comes out on disk."""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from codeformer_core.cli import main, restore
from codeformer_core.faces import Box, Face, Faces, Landmarks, place
from codeformer_core.images import read_picture, readable_suffixes, reading
from codeformer_core.jobs import plan

SIDE = 192
FACE = Landmarks((86, 88), (106, 88), (96, 98), (88, 110), (104, 110))
"""What the detector finds in every picture."""
LEFT, RIGHT = 46, 146
"""Columns between which every mask lies, with the blocks of 16 that it touches."""


class OneFace:
    """A detector that finds the same face in every picture, whatever that shows."""

    name = "one face"

    def detect(self, frames, **settings):
        height, width = frames.shape[1:3]
        face = Face(Box(80, 78, 112, 118), 1.0, FACE, place(FACE, 64, height, width), 0)
        return Faces(((face,),) * len(frames), height, width)


@pytest.fixture
def run(monkeypatch, model, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Restore files into `tmp_path / "out"`: exit code, what was printed, what was complained."""
    monkeypatch.setattr(restore, "load_face_detector", lambda options: OneFace())

    def run(*arguments: object) -> tuple[int, str, str]:
        words = [*map(str, arguments), "-o", str(tmp_path / "out"), "--model", str(model)]
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            code = main(["restore", *words, "--device", "cpu"])
        return code, out.getvalue(), err.getvalue()

    return run


@pytest.fixture(scope="session")
def photo(astronaut) -> Image.Image:
    return Image.fromarray((astronaut[32 : 32 + SIDE, 128 : 128 + SIDE] * 255).byte().numpy())


def levels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def check_sides(before: Path, after: Path) -> None:
    """Nothing changed beside the face, something in it."""
    old, new = read_picture(before).pixels, read_picture(after).pixels
    assert bool((old[:, :LEFT] == new[:, :LEFT]).all())
    assert bool((old[:, RIGHT:] == new[:, RIGHT:]).all())
    assert float((old[:, LEFT:RIGHT] != new[:, LEFT:RIGHT]).float().mean()) > 0.1


WAYS = {
    "a.png": {},
    "a.webp": {"lossless": True},
    "a.tif": {"compression": "tiff_lzw"},
    "b.tif": {"compression": "tiff_adobe_deflate"},
    "a.bmp": {},
    "a.jpg": {"quality": 90, "subsampling": 2},
    "b.jpg": {"quality": 85, "subsampling": 0, "progressive": True},
    "a.jpe": {"quality": 75, "subsampling": 1},
    "a.jfif": {},
}


@pytest.mark.parametrize("name", WAYS)
def test_nothing_changes_on_disk_beside_the_face(run, tmp_path, photo, name):
    if name[2] == "j":
        pytest.importorskip("jpeglib")
    photo.save(tmp_path / name, **WAYS[name])
    code, _, err = run(tmp_path / name)
    assert (code, err) == (0, "")
    check_sides(tmp_path / name, tmp_path / "out" / name)
    assert (tmp_path / "out" / name).stat().st_size < 1.5 * (tmp_path / name).stat().st_size


@pytest.mark.parametrize("suffix", ["gif", "ppm", "tga", "mpo", "jp2", "heic", "jxl", "avif"])
def test_other_formats_become_png_or_jpeg(run, tmp_path, photo, suffix):
    source = tmp_path / f"a.{suffix}"
    if source.suffix not in readable_suffixes():
        pytest.skip(f"nothing here reads {suffix}")
    if suffix == "mpo":
        pytest.importorskip("jpeglib")
    photo.save(source)
    code, _, err = run(source)
    assert (code, err) == (0, "")
    check_sides(source, tmp_path / "out" / f"a.{suffix}.{'jpg' if suffix == 'mpo' else 'png'}")


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp", "jpg"])
def test_a_format_can_be_asked_for(run, tmp_path, photo, suffix):
    photo.save(tmp_path / "a.png")
    code, out, _ = run(tmp_path / "a.png", "--format", suffix)
    assert code == 0
    result = tmp_path / "out" / f"a.{suffix}"
    if suffix == "jpg":
        assert "stored without loss and are not" in out
    else:
        check_sides(tmp_path / "a.png", result)


def test_a_quality_can_be_asked_for(run, tmp_path, photo):
    photo.save(tmp_path / "a.jpg", quality=90)
    sizes = []
    for quality in (30, 99):
        run(tmp_path / "a.jpg", "--quality", quality)
        sizes.append((tmp_path / "out" / "a.jpg").stat().st_size)
    assert 3 * sizes[0] < sizes[1]


@pytest.mark.parametrize("quality", ["0", "101", "best"])
def test_a_quality_out_of_range_is_refused(run, tmp_path, quality):
    with pytest.raises(SystemExit), redirect_stderr(io.StringIO()):
        run(tmp_path / "a.jpg", "--quality", quality)


def test_another_quality_is_another_result_when_resumed(run, tmp_path, photo):
    photo.save(tmp_path / "a.jpg")
    run(tmp_path / "a.jpg")
    assert "earlier run: 1" in run(tmp_path / "a.jpg", "--resume")[1]
    assert "earlier run" not in run(tmp_path / "a.jpg", "--resume", "--quality", 50)[1]


def test_opacity_hides_what_it_hid_in_a_larger_picture(run, tmp_path, photo):
    pixels = np.asarray(photo).copy()
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[:, 20:172] = 255
    pixels[alpha == 0] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "a.png")
    assert run(tmp_path / "a.png", "--upscale", 2)[0] == 0
    larger = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(int)
    enlarged = Image.fromarray(alpha).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC)
    assert np.abs(larger[..., 3] - np.asarray(enlarged)).max() <= 1
    edge = larger[:, 36:48]  # where what is hidden ends
    inside = larger[:, 48:60, :3].mean()
    assert edge[edge[..., 3] > 5][:, :3].mean() > 0.9 * inside


def test_extra_channels_of_a_scan_stay_and_grow(run, tmp_path, photo):
    infrared = np.tile(np.arange(SIDE, dtype=np.uint16)[:, None] * 300, (1, SIDE))
    pixels = np.dstack([np.asarray(photo).astype(np.uint16) * 257, infrared])
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=["unspecified"])
    assert run(path)[0] == 0
    kept = tifffile.imread(tmp_path / "out" / "a.tif")
    assert np.array_equal(kept[..., 3], infrared)
    assert np.array_equal(kept[:, :LEFT], pixels[:, :LEFT])
    run(path, "--upscale", 2)
    assert tifffile.imread(tmp_path / "out" / "a.tif").shape == (2 * SIDE, 2 * SIDE, 4)
    assert "its other channels are not kept (PNG)" in run(path, "--format", "png")[1]


def test_a_picture_cut_short_is_restored_with_a_note(run, tmp_path, photo):
    path = tmp_path / "a.jpg"
    photo.save(path, quality=95)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    code, out, err = run(path)
    assert (code, err) == (0, "")
    assert "note: " in out
    assert "a.jpg: the file is cut short: rows " in out
    assert Image.open(tmp_path / "out" / "a.jpg").convert("RGB").size == (SIDE, SIDE)


def test_the_limit_of_pixels_can_be_lifted(run, tmp_path, photo, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500_000)
    monkeypatch.setattr(reading, "MOST_MEGAPIXELS", 1.0)
    large = Image.new("RGB", (1100, 1000))
    large.paste(photo)
    large.save(tmp_path / "a.png")
    code, _, err = run(tmp_path / "a.png")
    assert code == 1
    assert "--max-megapixels 2 lifts it" in err
    assert run(tmp_path / "a.png", "--max-megapixels", 2)[0] == 0


@pytest.fixture
def without_heif(monkeypatch) -> None:
    """As if pillow-heif were not installed."""
    bare = readable_suffixes() - {".heic", ".heics", ".heif", ".heifs", ".hif"}
    formats = tuple(name for name in reading.readable_formats() if name != "HEIF")
    monkeypatch.setattr(plan, "readable_suffixes", lambda: bare)
    monkeypatch.setattr(reading, "readable_suffixes", lambda: bare)
    monkeypatch.setattr(reading, "readable_formats", lambda: formats)


HEIC = b"\0\0\0\x18ftypheic" + bytes(100)


def test_a_phone_folder_is_restored_whole_or_counted(run, tmp_path, photo, without_heif):
    folder = tmp_path / "phone"
    folder.mkdir()
    for name in ("a.jpg", "b.jpe", "c.mpo", "d.pnm"):
        photo.save(folder / name)
    assert run(folder)[0] == 0
    (folder / "notes.txt").touch()
    assert run(folder)[0] == 0, "a file that is no picture is no failure"
    (folder / "e.heic").write_bytes(HEIC)
    code, out, _ = run(folder)
    assert code == 1
    assert "4 of 4 pictures restored" in out
    assert "1 picture left out: HEIC; pip install pillow-heif" in out
    assert "1 other file left out: no pictures (.txt)" in out


def test_a_picture_named_by_the_user_that_needs_a_package_fails(run, tmp_path, without_heif):
    (tmp_path / "a.heic").write_bytes(HEIC)
    code, _, err = run(tmp_path / "a.heic")
    assert code == 1
    assert "a.heic: HEIC cannot be read yet: pip install pillow-heif" in err


def test_an_opencv_that_misses_a_library_is_told_so(run, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((SIDE, SIDE, 3), np.uint8), photometric="rgb")
    deep = np.zeros((SIDE, SIDE, 3), np.uint16)
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), deep)
    cause = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({cause!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2")
    code, _, err = run(tmp_path / "a.png")
    assert code == 1
    assert cause in err
    assert "pip install opencv-python-headless" in err
    assert "unexpected" not in err
