"""Colours told by code points: kept as a PNG chunk, and said where a format has no place."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeformer_core.images import read_picture, write_picture
from codeformer_core.images.colour_codes import as_chunk

BT2020, P3, PQ, HLG, SRGB, BT709 = 9, 12, 16, 18, 13, 1
RAMP = np.linspace(0, 1, 32 * 32 * 3).reshape(32, 32, 3)


def avif(path: Path, primaries: int, transfer: int) -> None:
    """An AVIF whose colours are told by these code points alone."""
    imagecodecs = pytest.importorskip("imagecodecs")
    if ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow knows no AVIF")
    encoded = imagecodecs.avif_encode(
        (RAMP * 1023).astype(np.uint16), bitspersample=10, primaries=primaries, transfer=transfer
    )
    assert b"colrnclx" + bytes([0, primaries, 0, transfer]) in encoded
    path.write_bytes(encoded)


def heic(path: Path, primaries: int, transfer: int) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    deep = pillow_heif.from_bytes("RGB;16", (32, 32), (RAMP * 65535).astype(np.uint16).tobytes())
    told = {"color_primaries": primaries, "transfer_characteristics": transfer}
    deep.save(path, bit_depth=10, quality=90, **told)


CODES = [(BT2020, PQ), (BT2020, HLG), (P3, PQ), (P3, SRGB), (BT2020, BT709)]


@pytest.mark.parametrize("make", [avif, heic])
@pytest.mark.parametrize("codes", CODES)
def test_a_png_says_them(tmp_path, make, codes):
    path = tmp_path / f"a.{make.__name__}"
    make(path, *codes)
    picture = read_picture(path)
    assert picture.bits == 16
    assert write_picture(tmp_path / "a.png", picture) == ()
    written = (tmp_path / "a.png").read_bytes()
    place = written.index(b"cICP")
    assert written[place - 4 : place + 8] == bytes([0, 0, 0, 4]) + b"cICP" + bytes([*codes, 0, 1])
    assert place < written.index(b"IDAT")
    assert read_picture(tmp_path / "a.png").blocks[0].content == b"cICP" + bytes([*codes, 0, 1])


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_their_loss_is_said_in_words(tmp_path, suffix):
    avif(tmp_path / "a.avif", BT2020, PQ)
    lost = " ".join(write_picture(tmp_path / f"a{suffix}", read_picture(tmp_path / "a.avif")))
    assert "colours in BT.2020 PQ (cICP)" in lost


@pytest.mark.parametrize("codes", [(1, 13), (1, 1), (2, 2), (1, 6)])
def test_those_of_srgb_are_not_worth_a_word(codes):
    assert as_chunk(*codes) is None
