"""Encoding once and decoding often gives what restoring gives."""

import pytest
import torch

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.pipeline import restore_crops
from codeformer_core.pipeline.codes import (
    choose_codes,
    decode_crops,
    draw_codes,
    encode_crops,
    parse_fidelities,
)
from codeformer_core.pipeline.sweep import sweep_fidelity


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(2))


def test_decoded_codes_are_what_restoring_gives(tiny_codeformer, crops) -> None:
    encoded = encode_crops(tiny_codeformer, crops, chunk=2)
    for fidelity in (0.0, 0.6, [0.0, 0.5, 1.0]):
        decoded = decode_crops(tiny_codeformer, encoded, fidelity, chunk=2).crops
        expected = restore_crops(tiny_codeformer, crops, fidelity, chunk=2)
        torch.testing.assert_close(decoded, expected, atol=1e-5, rtol=0)


def test_no_crop_gives_no_codes_and_no_face(tiny_codeformer) -> None:
    encoded = encode_crops(tiny_codeformer, torch.zeros(0, 40, 40, 3))
    assert len(encoded) == 0
    assert decode_crops(tiny_codeformer, encoded, 0.5).crops.shape == (0, 64, 64, 3)
    sweep = sweep_fidelity(tiny_codeformer, encoded, [0.0, 1.0], panel=32)
    assert sweep.faces.shape == (0, 64, 64, 3)
    assert sweep.grid.shape == (32, 32, 3)


def test_a_face_without_finite_pixels_is_left_as_it_was(tiny_codeformer, crops) -> None:
    crops[1] = float("nan")
    decoded = decode_crops(tiny_codeformer, encode_crops(tiny_codeformer, crops), 0.5)
    assert decoded.broken == (1,)
    assert decoded.crops[0].isfinite().all()


def test_sweep_holds_every_face_at_every_fidelity(tiny_codeformer, crops) -> None:
    encoded = encode_crops(tiny_codeformer, crops)
    seen: list[tuple[int, int]] = []
    sweep = sweep_fidelity(
        tiny_codeformer, encoded, [0.0, 1.0], panel=64, on_progress=lambda *at: seen.append(at)
    )
    one = restore_crops(tiny_codeformer, crops, 1.0)
    torch.testing.assert_close(sweep.faces[1::2], one, atol=1e-5, rtol=0)
    assert sweep.grid.shape[1] == 3 * (64 + 12) + 12
    assert seen[-1] == (6, 6)


def test_sweep_too_large_to_draw_says_what_to_do(tiny_codeformer, crops) -> None:
    encoded = encode_crops(tiny_codeformer, crops)
    with pytest.raises(SettingError, match="fewer"):
        sweep_fidelity(tiny_codeformer, encoded, [0.5] * 20, panel=1024)
    with pytest.raises(SettingError, match="at least one"):
        sweep_fidelity(tiny_codeformer, encoded, [])


def test_nearest_codes_are_the_codebooks_own(tiny_codeformer, crops) -> None:
    codes = encode_crops(tiny_codeformer, crops).codes
    codebook = tiny_codeformer.quantize.embedding.weight
    nearest = choose_codes(codes, codebook, "nearest").codes
    assert torch.equal(nearest, tiny_codeformer.quantize.nearest(codes.latents))
    assert torch.equal(choose_codes(codes, codebook, "transformer").codes, codes.codes)
    assert not torch.equal(nearest, codes.codes)


def test_code_map_shows_equal_codes_equally(tiny_codeformer) -> None:
    codebook = tiny_codeformer.quantize.embedding.weight
    codes = torch.zeros(1, 256, dtype=torch.int64)
    codes[0, 17] = 5  # second row, second column
    picture = draw_codes(codes, codebook, 64)
    assert picture.shape == (1, 64, 64, 3)
    assert torch.equal(picture[0, 0, 0], picture[0, 63, 63])
    assert torch.equal(picture[0, 4, 4], picture[0, 7, 7])
    assert not torch.equal(picture[0, 4, 4], picture[0, 0, 0])
    assert 0 <= picture.min() <= picture.max() <= 1


def test_fidelities_are_read_and_checked() -> None:
    assert parse_fidelities("0, 0.25;1\n.5") == [0, 0.25, 1, 0.5]
    assert parse_fidelities(" ") == []
    with pytest.raises(SettingError, match="'half'"):
        parse_fidelities("half")
    for wrong in ("1.5", "-1", "nan"):
        with pytest.raises(SettingError, match="from 0 to 1"):
            parse_fidelities(wrong)


def test_crops_of_another_shape_are_refused(tiny_codeformer) -> None:
    with pytest.raises(PictureError, match="square"):
        encode_crops(tiny_codeformer, torch.zeros(1, 64, 32, 3))
