"""Encoding once and decoding often gives what restoring gives."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses import FakeTensorMode

from codeformer_core.errors import PictureError, SettingError
from codeformer_core.networks import CodeFormer, FaceCodes
from codeformer_core.pipeline import restore_crops
from codeformer_core.pipeline.codes import (
    EncodedCrops,
    choose_codes,
    decode_crops,
    draw_codes,
    encode_crops,
    parse_fidelities,
)
from codeformer_core.pipeline.sweep import sweep_fidelity
from codeformer_core.runtime import Runtime


@pytest.fixture
def crops() -> torch.Tensor:
    return torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(2))


def test_decoded_codes_are_what_restoring_gives(tiny_codeformer, crops) -> None:
    runtime = Runtime(batch_size=2)
    encoded = encode_crops(tiny_codeformer, crops, runtime=runtime)
    for fidelity in (0.0, 0.6, [0.0, 0.5, 1.0]):
        decoded = decode_crops(encoded, fidelity, runtime=runtime).crops
        expected = restore_crops(tiny_codeformer, crops, fidelity, runtime=runtime)
        torch.testing.assert_close(decoded, expected, atol=1e-5, rtol=0)


def test_no_crop_gives_no_codes_and_no_face(tiny_codeformer) -> None:
    encoded = encode_crops(tiny_codeformer, torch.zeros(0, 40, 40, 3))
    assert len(encoded) == 0
    assert decode_crops(encoded, 0.5).crops.shape == (0, 64, 64, 3)
    sweep = sweep_fidelity(encoded, [0.0, 1.0], panel=32)
    assert sweep.faces.shape == (0, 64, 64, 3)
    assert sweep.grid.shape == (32, 32, 3)


def test_a_face_without_finite_pixels_is_left_as_it_was(tiny_codeformer, crops) -> None:
    crops[1] = float("nan")
    decoded = decode_crops(encode_crops(tiny_codeformer, crops), 0.5)
    assert decoded.failed == (1,)
    assert "face 2 of 3" in decoded.warnings[0]
    assert decoded.crops[0].isfinite().all()


def test_sweep_holds_every_face_at_every_fidelity(tiny_codeformer, crops) -> None:
    encoded = encode_crops(tiny_codeformer, crops)
    seen: list[tuple[int, int]] = []
    runtime = Runtime(lambda *at: seen.append(at))
    sweep = sweep_fidelity(encoded, [0.0, 1.0], panel=64, runtime=runtime)
    one = restore_crops(tiny_codeformer, crops, 1.0)
    torch.testing.assert_close(sweep.faces[1::2], one, atol=1e-5, rtol=0)
    assert sweep.grid.shape[1] == 3 * (64 + 12) + 12
    assert seen == [(500, 1000), (1000, 1000)]


def test_sweep_too_large_to_draw_says_what_to_do(tiny_codeformer, crops) -> None:
    encoded = encode_crops(tiny_codeformer, crops)
    with pytest.raises(SettingError, match="fewer"):
        sweep_fidelity(encoded, [0.5] * 20, panel=1024)
    with pytest.raises(SettingError, match="at least one"):
        sweep_fidelity(encoded, [])
    with pytest.raises(SettingError, match="between 0 and 1"):
        sweep_fidelity(encoded, [0.5, 1.5])


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_nearest_codes_are_the_codebooks_own(tiny_codeformer, crops, temperature) -> None:
    tiny_codeformer.config = replace(tiny_codeformer.config, code_temperature=temperature)
    encoded = encode_crops(tiny_codeformer, crops)
    nearest = choose_codes(encoded, "nearest")
    expected = tiny_codeformer.quantize.nearest(encoded.codes.latents)
    assert torch.equal(nearest.codes.codes, expected)
    assert not torch.equal(nearest.codes.codes, encoded.codes.codes)
    drawn = tiny_codeformer.quantize.lookup(expected, nearest.codes.latents.shape[-1])
    assert torch.equal(nearest.codes.code_features, drawn)
    again = choose_codes(nearest, "transformer").codes
    assert torch.equal(again.codes, encoded.codes.codes)
    assert torch.equal(again.code_features, encoded.codes.code_features)


@pytest.mark.parametrize("source", ["transformer", "nearest"])
@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_codes_are_chosen_wherever_the_network_is(tiny_config, source, temperature) -> None:
    """Encoded crops lie where the crops were, the network perhaps on a GPU."""
    with FakeTensorMode():  # knows devices that this machine has not
        with torch.device("cuda"):
            network = CodeFormer(replace(tiny_config, code_temperature=temperature))
        codes = FaceCodes.empty(tiny_config)
        chosen = choose_codes(EncodedCrops(network, torch.zeros(0, 64, 64, 3), codes), source)
        assert chosen.codes.code_features.device == chosen.codes.latents.device


def test_code_map_shows_equal_codes_equally(tiny_codeformer) -> None:
    encoded = encode_crops(tiny_codeformer, torch.zeros(1, 64, 64, 3))
    encoded.codes.codes.zero_()
    encoded.codes.codes[0, 17] = 5  # second row, second column
    picture = draw_codes(encoded, 64)
    assert picture.shape == (1, 64, 64, 3)
    assert torch.equal(picture[0, 0, 0], picture[0, 63, 63])
    assert torch.equal(picture[0, 4, 4], picture[0, 7, 7])
    assert not torch.equal(picture[0, 4, 4], picture[0, 0, 0])
    assert 0 <= picture.min() <= picture.max() <= 1


def test_fidelities_are_read() -> None:
    assert parse_fidelities("0, 0.25;1\n.5") == [0, 0.25, 1, 0.5]
    assert parse_fidelities(" ") == []
    with pytest.raises(SettingError, match="'half'"):
        parse_fidelities("half")


def test_crops_of_another_shape_are_refused(tiny_codeformer) -> None:
    with pytest.raises(PictureError, match="square"):
        encode_crops(tiny_codeformer, torch.zeros(1, 64, 32, 3))
