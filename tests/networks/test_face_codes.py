"""Codes of faces are taken, joined and moved without a change."""

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.networks import CodeFormer, FaceCodes, fidelity_per_face


@pytest.fixture
def codes(tiny_codeformer: CodeFormer) -> FaceCodes:
    crops = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return tiny_codeformer.encode(crops)


def equal(first: FaceCodes, second: FaceCodes) -> bool:
    pairs = [
        (first.latents, second.latents),
        (first.logits, second.logits),
        (first.codes, second.codes),
        (first.code_features, second.code_features),
        *((first.features[side], second.features[side]) for side in first.features),
    ]
    return all(torch.equal(*pair) for pair in pairs)


def test_parts_join_to_the_whole(codes: FaceCodes) -> None:
    parts = [codes.take(slice(0, 2)), codes.take(slice(2, 3))]
    assert [len(part) for part in parts] == [2, 1]
    assert equal(FaceCodes.join(parts), codes)
    assert FaceCodes.join([codes]) is codes


def test_a_type_reaches_only_what_the_generator_reads(codes: FaceCodes) -> None:
    half = codes.to(dtype=torch.bfloat16)
    assert half.latents.dtype == half.code_features.dtype == torch.bfloat16
    assert {feature.dtype for feature in half.features.values()} == {torch.bfloat16}
    assert (half.logits.dtype, half.codes.dtype) == (torch.float32, torch.int64)
    moved = codes.to(torch.device("meta"))
    assert {moved.latents.device.type, moved.codes.device.type} == {"meta"}
    assert equal(codes.to(torch.device("cpu")), codes)


def test_codes_of_nobody_have_the_shapes_of_somebodys(
    tiny_codeformer: CodeFormer, codes: FaceCodes
) -> None:
    empty = FaceCodes.empty(tiny_codeformer.config)
    assert len(empty) == 0
    assert equal(FaceCodes.join([empty, codes]), codes)


def test_one_fidelity_counts_for_all() -> None:
    assert fidelity_per_face(0.25, 3).tolist() == [0.25] * 3
    assert fidelity_per_face([0.25, 1], 2).tolist() == [0.25, 1]
    assert fidelity_per_face(0.5, 0).tolist() == []


@pytest.mark.parametrize("fidelity", [-0.1, 1.1, float("nan"), [0.5, 2.0]])
def test_a_fidelity_outside_its_range_is_refused(fidelity: float) -> None:
    with pytest.raises(SettingError, match="between 0 and 1"):
        fidelity_per_face(fidelity, 2)
