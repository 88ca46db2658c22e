"""TIFF files of every depth, colour, layout, compression and byte order, made byte by byte."""

import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from codeformer_core.errors import PictureError
from codeformer_core.images import Picture, read_picture, write_picture

HEIGHT, WIDTH = 37, 45
RANDOM = np.random.default_rng(0)
UNIT = RANDOM.random((HEIGHT, WIDTH, 6))
NONE, LZW, DEFLATE, PACKBITS, LZMA, ZSTD = 1, 5, 8, 32773, 34925, 50000
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, LAB = 0, 1, 2, 3, 5, 8
UNSTATED, PREMULTIPLIED, OPACITY = 0, 1, 2
TILE = 16


@pytest.fixture(autouse=True)
def without_imagecodecs(monkeypatch) -> None:
    """Nothing here needs it, but where a test says so."""
    monkeypatch.setitem(sys.modules, "imagecodecs", None)


def encoder(compression: int) -> Callable[[bytes], bytes]:
    sys.modules.pop("imagecodecs", None)
    imagecodecs = pytest.importorskip("imagecodecs")
    return {
        NONE: bytes,
        LZW: imagecodecs.lzw_encode,
        DEFLATE: zlib.compress,
        PACKBITS: imagecodecs.packbits_encode,
        LZMA: imagecodecs.lzma_encode,
        ZSTD: imagecodecs.zstd_encode,
    }[compression]


def packed(numbers: np.ndarray, bits: int, order: str) -> bytes:
    """(rows, columns, samples) numbers; every row begins with a whole byte."""
    if numbers.dtype.kind == "f" or (bits % 8 == 0 and bits != 24):
        return numbers.astype(f"{order}{numbers.dtype.kind}{bits // 8}").tobytes()
    flat = numbers.reshape(len(numbers), -1).astype(np.uint64)
    if bits == 24 and order == "<":
        return flat.astype("<u4")[..., None].view(np.uint8)[..., :3].tobytes()
    ones = flat[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint64) & np.uint64(1)
    return np.packbits(ones.reshape(len(numbers), -1).astype(np.uint8), axis=1).tobytes()


def differences(numbers: np.ndarray) -> np.ndarray:
    """Predictor 2."""
    changed = numbers.copy()
    changed[:, 1:] -= numbers[:, :-1]
    return changed


def float_differences(numbers: np.ndarray) -> np.ndarray:
    """Predictor 3: bytes of one weight together, each as the difference to the one before."""
    rows, columns, samples = numbers.shape
    weights = numbers.astype(numbers.dtype.newbyteorder(">")).view(np.uint8)
    weights = weights.reshape(rows, columns * samples, -1).swapaxes(1, 2)
    return differences(weights.reshape(rows, -1, samples))


def tiff(
    numbers: np.ndarray,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    compression: int = NONE,
    predictor: int = 1,
    tiled: bool = False,
    planar: bool = False,
    reversed_bits: bool = False,
    extras: tuple[int, ...] = (),
    tags: dict[int, tuple[int, ...]] | None = None,
    rows: int = 8,
) -> bytes:
    """A TIFF of (H, W, samples) numbers, written without the code under test."""
    height, width, samples = numbers.shape
    down, across = (TILE, TILE) if tiled else (rows, width)
    segments = []
    for plane in np.split(numbers, samples, axis=2) if planar else [numbers]:
        for top in range(0, height, down):
            for left in range(0, width, across):
                part = plane[top : top + down, left : left + across]
                if tiled:
                    pad = [(0, down - part.shape[0]), (0, across - part.shape[1]), (0, 0)]
                    part = np.pad(part, pad)
                if predictor == 2:
                    part = differences(part)
                if predictor == 3:
                    raw = float_differences(part).tobytes()
                else:
                    raw = packed(part, bits, order)
                data = encoder(compression)(raw)
                segments.append(_reversed(data) if reversed_bits else data)
    kind = 3 if numbers.dtype.kind == "f" else 1
    entries: dict[int, tuple[int, ...]] = {
        256: (width,), 257: (height,), 258: (bits,) * samples, 259: (compression,),
        262: (photometric,), 277: (samples,), 284: (2 if planar else 1,), 317: (predictor,),
        266: (2 if reversed_bits else 1,), 339: (kind,) * samples,
    }  # fmt: skip
    if extras:
        entries[338] = extras
    places, sizes = (324, 325) if tiled else (273, 279)
    entries |= {322: (TILE,), 323: (TILE,)} if tiled else {278: (rows,)}
    entries[sizes] = tuple(map(len, segments))
    entries[places] = tuple(int(8 + sum(map(len, segments[:i]))) for i in range(len(segments)))
    return _file(order, b"".join(segments), entries | (tags or {}))


def _file(order: str, data: bytes, entries: dict[int, tuple[int, ...]]) -> bytes:
    """Header, data, the values that find no place in the directory, and the directory."""
    data += b"\0" * (len(data) % 2)
    directory, values = [], b""
    for tag, numbers in sorted(entries.items()):
        body = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(body) > 4:
            place = struct.pack(order + "I", 8 + len(data) + len(values))
            values, body = values + body, place
        directory.append(struct.pack(order + "HHI", tag, 4, len(numbers)) + body)
    start = 8 + len(data) + len(values)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    count = struct.pack(order + "H", len(directory))
    return head + data + values + count + b"".join(directory) + bytes(4)


def _reversed(data: bytes) -> bytes:
    return data.translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256)))


def whole(samples: int, bits: int) -> np.ndarray:
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return (UNIT[..., :samples] * ((1 << bits) - 1)).round().astype(dtype)


def read(tmp_path, data: bytes) -> Picture:
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    return read_picture(path)


def same(tensor: torch.Tensor, expected: np.ndarray) -> bool:
    shown = np.broadcast_to(expected, tensor.shape)
    return bool(np.allclose(tensor.numpy(), shown, rtol=0, atol=1e-6))


def test_the_maker_of_these_files_agrees_with_other_readers(tmp_path):
    pixels, predicted = whole(3, 16), {"predictor": 2, "compression": LZW}
    for options in ({}, {"tiled": True}, {"planar": True}, {"order": ">"}, predicted):
        (tmp_path / "a.tif").write_bytes(tiff(pixels, 16, RGB, **options))
        read = tifffile.imread(tmp_path / "a.tif")
        assert np.array_equal(np.moveaxis(read, 0, -1) if "planar" in options else read, pixels)
    (tmp_path / "a.tif").write_bytes(tiff(whole(1, 12), 12, BLACK_IS_ZERO))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.tif")), whole(1, 12)[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO, RGB])
@pytest.mark.parametrize("bits", range(1, 17))
def test_every_depth_is_scaled_to_its_own_white(tmp_path, bits, photometric, order):
    numbers = whole(3 if photometric == RGB else 1, bits)
    picture = read(tmp_path, tiff(numbers, bits, photometric, order=order))
    unit = numbers / ((1 << bits) - 1)
    assert same(picture.pixels, 1 - unit if photometric == WHITE_IS_ZERO else unit)
    assert picture.bits == (8 if bits <= 8 else 16)
    assert picture.gray == (photometric != RGB)
    assert picture.notes == ()


@pytest.mark.parametrize("bits", [24, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_deeper_whole_numbers_become_sixteen_bits_and_that_is_said(tmp_path, bits, order):
    picture = read(tmp_path, tiff(whole(3, bits), bits, RGB, order=order))
    assert same(picture.pixels, whole(3, bits) / ((1 << bits) - 1))
    assert picture.notes == (f"its {bits} bits a channel became 16",)


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("predictor", [1, 3])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO, RGB])
def test_floats(tmp_path, bits, predictor, photometric):
    samples = 3 if photometric == RGB else 1
    numbers = (UNIT[..., :samples] * 3 - 1).astype(f"f{bits // 8}")
    data = tiff(numbers, bits, photometric, predictor=predictor, compression=DEFLATE)
    picture = read(tmp_path, data)
    assert same(picture.pixels, 1 - numbers if photometric == WHITE_IS_ZERO else numbers)
    assert picture.bits == 32


LAYOUTS: list[dict[str, Any]] = [
    {"tiled": tiled, "planar": planar, "order": order}
    for tiled in (False, True)
    for planar in (False, True)
    for order in "<>"
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACKBITS, LZMA, ZSTD])
@pytest.mark.parametrize(("bits", "predictor"), [(8, 1), (8, 2), (12, 1), (16, 1), (16, 2)])
def test_every_layout_and_compression_of_bytes(tmp_path, layout, compression, bits, predictor):
    numbers = whole(3, bits)
    predictor = predictor if compression in (LZW, DEFLATE, LZMA, ZSTD) else 1
    data = tiff(numbers, bits, RGB, compression=compression, predictor=predictor, **layout)
    picture = read(tmp_path, data)
    assert same(picture.pixels, numbers / ((1 << bits) - 1))
    assert picture.coding.lossless
    assert picture.notes == ()


@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE])
def test_bits_in_the_other_order(tmp_path, compression):
    data = tiff(whole(1, 12), 12, BLACK_IS_ZERO, compression=compression, reversed_bits=True)
    assert same(read(tmp_path, data).pixels, whole(1, 12) / 4095)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(tmp_path, bits):
    numbers = whole(1, bits)
    table = RANDOM.integers(0, 256, (3, 1 << bits))
    map_tag = {320: tuple(int(each) * 256 for each in table.ravel())}
    picture = read(tmp_path, tiff(numbers, bits, PALETTE, tags=map_tag))
    assert same(picture.pixels, table.T[numbers[..., 0]] / 255)


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("layout", [{}, {"order": ">"}, {"planar": True}, {"tiled": True}], ids=str)
def test_premultiplied_colours_are_divided_and_written_as_they_were(tmp_path, bits, gray, layout):
    channels = 1 if gray else 3
    colours, alpha = UNIT[..., :channels], UNIT[..., 4:5].copy()
    alpha[:5], alpha[5:10] = 0, 1
    white = 1 if bits == 32 else (1 << bits) - 1
    dtype = np.float32 if bits == 32 else np.uint8 if bits == 8 else np.uint16
    numbers = np.concatenate([colours * alpha, alpha], 2) * white
    numbers = (numbers if bits == 32 else numbers.round()).astype(dtype)
    kind = BLACK_IS_ZERO if gray else RGB
    picture = read(tmp_path, tiff(numbers, bits, kind, extras=(PREMULTIPLIED,), **layout))
    assert same(picture.alpha, numbers[..., -1] / white)
    solid = numbers[..., -1:] > 0
    straight = np.divide(
        numbers[..., :-1], numbers[..., -1:], where=solid, out=np.zeros((HEIGHT, WIDTH, channels))
    )
    assert same(picture.pixels, straight)
    assert picture.notes == ()
    write_picture(tmp_path / "b.tif", picture)
    page = tifffile.TiffFile(tmp_path / "b.tif").pages.first
    assert [int(each) for each in page.extrasamples] == [PREMULTIPLIED]
    top = 1 if bits == 32 else 255 if bits == 8 else 65535
    assert np.allclose(page.asarray() / top, numbers / white, rtol=0, atol=0.51 / max(top, 65535))


def test_colours_hidden_under_no_opacity_are_said_to_be_lost(tmp_path):
    numbers = np.full((9, 9, 4), 100, np.uint8)
    numbers[..., 3] = 0
    picture = read(tmp_path, tiff(numbers, 8, RGB, extras=(PREMULTIPLIED,)))
    assert picture.notes == ("colours where it is fully transparent are not kept",)


@pytest.mark.parametrize("bits", [4, 8, 12, 16, 32])
@pytest.mark.parametrize("kinds", [(UNSTATED,), (OPACITY, UNSTATED), (UNSTATED, OPACITY, UNSTATED)])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
@pytest.mark.parametrize("planar", [False, True])
def test_extra_channels_are_kept_at_every_depth(tmp_path, bits, kinds, photometric, planar):
    channels = 3 if photometric == RGB else 1
    samples = channels + len(kinds)
    numbers = UNIT[..., :samples].astype(np.float32) if bits == 32 else whole(samples, bits)
    unit = numbers / (1 if bits == 32 else (1 << bits) - 1)
    data = tiff(numbers, bits, photometric, extras=kinds, planar=planar)
    picture = read(tmp_path, data)
    extras = [channels + place for place, kind in enumerate(kinds) if kind == UNSTATED]
    assert same(picture.pixels, unit[..., :channels])
    assert same(picture.extra, unit[..., extras])
    assert (picture.alpha is not None) == (OPACITY in kinds)
    if picture.alpha is not None:
        assert same(picture.alpha, unit[..., channels + kinds.index(OPACITY)])
    assert write_picture(tmp_path / "b.tif", picture) == ()
    again = read_picture(tmp_path / "b.tif")
    assert torch.equal(again.pixels, picture.pixels) or bits == 12
    assert torch.allclose(again.extra, picture.extra, rtol=0, atol=1e-5)
    assert "its other channels are not kept (PNG)" in write_picture(tmp_path / "b.png", picture)


def test_three_unstated_channels_of_gray_are_taken_for_colours(tmp_path):
    assert same(read(tmp_path, tiff(whole(3, 16), 16, BLACK_IS_ZERO)).pixels, whole(3, 16) / 65535)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [NONE, LZW])
def test_cmyk_becomes_rgb_and_that_is_said(tmp_path, bits, compression):
    numbers = np.zeros((9, 9, 4), np.uint8 if bits == 8 else np.uint16)
    numbers[..., 1:3] = (1 << bits) - 1  # magenta and yellow
    picture = read(tmp_path, tiff(numbers, bits, CMYK, compression=compression))
    assert same(picture.pixels, np.array([1, 0, 0]))
    assert any("CMYK became RGB" in note for note in picture.notes)
    assert any("16 bits a channel became 8" in note for note in picture.notes) == (bits == 16)


@pytest.mark.parametrize("bits", [8, 16])
def test_lab_becomes_rgb(tmp_path, bits):
    lab = np.zeros((9, 9, 3), np.uint8 if bits == 8 else np.uint16)
    lab[..., 0] = (1 << bits) * 3 // 4  # L* of 75, a* and b* of 0
    picture = read(tmp_path, tiff(lab, bits, LAB))
    red, green, blue = picture.pixels[0, 0].tolist()
    assert red == pytest.approx(0.726, abs=0.02)  # sRGB of L* 75
    assert green == pytest.approx(red, abs=0.02)
    assert blue == pytest.approx(red, abs=0.02)


def test_other_inks_are_refused_as_sound(tmp_path):
    with pytest.raises(PictureError, match="sound, but its inks are not CMYK"):
        read(tmp_path, tiff(whole(4, 8), 8, CMYK, tags={332: (2,)}))


def test_a_predictor_without_compression_means_nothing(tmp_path):
    """As in libtiff."""
    data = tiff(whole(3, 16), 16, RGB, tags={317: (2,)})
    assert same(read(tmp_path, data).pixels, whole(3, 16) / 65535)


@pytest.mark.parametrize("kind", [2, 6])
def test_signed_and_complex_numbers_are_refused_as_sound(tmp_path, kind):
    with pytest.raises(PictureError, match="sound, but its numbers are no shades"):
        read(tmp_path, tiff(whole(1, 16), 16, BLACK_IS_ZERO, tags={339: (kind,)}))


@pytest.mark.parametrize("compression", ["jpeg", "jpeg2000", "webp", "lerc", "jpegxl"])
@pytest.mark.parametrize("here", [True, False])
def test_other_compressions_are_read_or_called_sound_with_the_package(
    tmp_path, monkeypatch, compression, here
):
    encoder(NONE)  # imagecodecs is here to write
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth, photometric="rgb", compression=compression)
    if not here:
        monkeypatch.setitem(sys.modules, "imagecodecs", None)
    try:
        picture = read_picture(path)
    except PictureError as error:
        assert not here
        assert "sound" in str(error)
        assert "pip install imagecodecs" in str(error)
        return
    assert float((picture.pixels - torch.from_numpy(smooth) / 255).abs().mean()) < 0.02
    assert not picture.coding.lossless


def test_deep_jpeg_2000_inside_is_read_in_full_depth(tmp_path):
    encoder(NONE)
    pixels = whole(3, 16)
    level = {"level": 0, "reversible": True}
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", compression="jpeg2000", compressionargs=level
    )
    picture = read_picture(tmp_path / "a.tif")
    assert picture.bits == 16
    assert same(picture.pixels, pixels / 65535)


def test_fax_of_one_bit(tmp_path):
    page = Image.fromarray((UNIT[..., 0] > 0.5).astype(np.uint8) * 255).convert("1")
    page.save(tmp_path / "a.tif", compression="group4")
    assert same(read_picture(tmp_path / "a.tif").pixels, UNIT[..., :1] > 0.5)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path, bits, compression, tiled):
    numbers = whole(3, bits)
    data = tiff(numbers, bits, RGB, compression=compression, tiled=tiled)
    picture = read(tmp_path, cut(data, 0.6))
    (note,) = picture.notes
    assert "cut short" in note
    missing = int(note.split(": ")[1].split()[0])
    assert HEIGHT * 0.2 < missing < HEIGHT * 0.7
    top = HEIGHT - missing
    assert same(picture.pixels[: top // 16 * 16], numbers[: top // 16 * 16] / ((1 << bits) - 1))


def cut(data: bytes, share: float) -> bytes:
    """A TIFF with its directory first, so that its end is missing and not the directory."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    pixels, tail = data[8:start], bytearray(data[start:])
    values_at = min(
        struct.unpack_from("<I", tail, 2 + 12 * i + 8)[0]
        for i in range(count)
        if struct.unpack_from("<I", tail, 2 + 12 * i + 4)[0] > 1
    )
    values, pixels = bytearray(data[values_at:start]), data[8:values_at]
    front = 8 + len(tail) + len(values)
    moved = {273, 324}
    for i in range(count):
        tag, _, number, place = struct.unpack_from("<HHII", tail, 2 + 12 * i)
        if number > 1:
            struct.pack_into("<I", tail, 2 + 12 * i + 8, place - values_at + 8 + len(tail))
        for j in range(number if tag in moved and number > 1 else 0):
            (old,) = struct.unpack_from("<I", values, place - values_at + 4 * j)
            struct.pack_into("<I", values, place - values_at + 4 * j, old - 8 + front)
    kept = pixels[: int(len(pixels) * share)]
    return b"II*\0" + struct.pack("<I", 8) + bytes(tail) + bytes(values) + kept


def test_a_file_with_almost_nothing_in_it_is_refused(tmp_path):
    with pytest.raises(PictureError, match="almost nothing of the picture"):
        read(tmp_path, cut(tiff(whole(3, 16), 16, RGB), 0.01))


def test_camera_raw_is_not_taken_for_its_preview(tmp_path):
    (tmp_path / "a.dng").write_bytes(tiff(whole(3, 8), 8, RGB))
    with pytest.raises(PictureError, match="camera raw: develop it"):
        read_picture(tmp_path / "a.dng")


def test_only_the_first_page_is_used_and_that_is_said(tmp_path):
    pages = [Image.new("L", (9, 9), shade) for shade in (10, 20, 30)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    picture = read_picture(tmp_path / "a.tif")
    assert picture.notes == ("only the first of its 3 pages is used",)
    assert same(picture.pixels, np.array(10 / 255))


@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB])
def test_a_colour_profile_is_kept(tmp_path, photometric):
    kind = "rgb" if photometric == RGB else "minisblack"
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"RGB " if photometric == RGB else b"GRAY"
    tag = (34675, 7, len(profile), bytes(profile), True)
    pixels = whole(3, 16) if photometric == RGB else whole(1, 16)[..., 0]
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric=kind, compression="zlib", extratags=[tag]
    )
    assert read_picture(tmp_path / "a.tif").icc_profile == bytes(profile)
