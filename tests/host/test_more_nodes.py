"""Selection, codes, variants, degradation and comparison, called as the host calls them."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

SIDE = 240


@pytest.fixture(scope="module")
def crowd(make_faces: Any) -> Any:
    """Thirty faces in one picture."""
    return make_faces(*((25 + 38 * (i % 6), 25 + 46 * (i // 6), 0) for i in range(30)))


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Three coloured frames."""
    return torch.rand(3, SIDE, SIDE, 3, generator=torch.Generator().manual_seed(8)) * 0.9


@pytest.fixture(scope="module")
def crops() -> torch.Tensor:
    return torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(9)) * 0.9


def run(host: SimpleNamespace, node: str, **inputs: Any) -> Any:
    """Outputs of a node's `execute`."""
    with torch.inference_mode():
        return host.nodes[f"CodeFormer{node}"].execute(**inputs).args


def differing(make_faces: Any) -> Any:
    """Frames with two faces, none and one."""
    return make_faces((60, 60, 0), (170, 60, 0), (60, 150, 2), frames=3)


# --------------------------------------------------------------------------------------- selection


def test_selection_shows_boxes_to_click_on(
    host: SimpleNamespace, make_faces: Any, pictures: torch.Tensor
) -> None:
    faces = differing(make_faces)
    node = host.nodes["CodeFormerSelectFaces"]
    result = node.execute(faces=faces, rule="picked", picked="3, 1", image=pictures)
    chosen, others, mask, count = result.args
    assert [len(frame) for frame in chosen.frames] == [1, 0, 1]
    assert (others.count, count) == (1, 2)
    assert mask.shape == (3, SIDE, SIDE)
    assert mask[1].sum() == 0 < mask[2].sum()
    shown = result.ui
    assert len(shown["images"]) == 3
    assert [face["selected"] for face in shown["faces"]] == [True, False, True]
    assert set(node.execute(faces=faces, rule="all").ui) == set(shown)


def test_number_out_of_range_names_the_range(host: SimpleNamespace, crowd: Any) -> None:
    with pytest.raises(host.core("errors").SettingError, match="from 1 to 30"):
        run(host, "SelectFaces", faces=crowd, rule="numbers", numbers="31")


def test_empty_selection_passes_the_picture_through(
    host: SimpleNamespace, tiny: Any, crowd: Any, pictures: torch.Tensor
) -> None:
    image = pictures[:1]
    nobody = run(host, "SelectFaces", faces=crowd, rule="picked", picked="")[0]
    restored, mask, faces = run(
        host, "RestoreImage", image=image, fidelity=0.5, model=tiny, faces=nobody
    )
    assert torch.equal(restored, image)
    assert mask.sum() == faces.count == 0


# ------------------------------------------------------------------------------------------- codes


def test_decoding_gives_what_restoring_gives(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    (codes,) = run(host, "EncodeFaces", crops=crops, model=tiny)
    (decoded,) = run(host, "DecodeFaces", codes=codes, fidelity=0.7)
    (expected,) = run(host, "RestoreFaces", crops=crops, fidelity=0.7, model=tiny)
    torch.testing.assert_close(decoded, expected, atol=1e-5, rtol=0)


def test_every_face_can_have_its_own_fidelity(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    (codes,) = run(host, "EncodeFaces", crops=crops, model=tiny)
    (mixed,) = run(host, "DecodeFaces", codes=codes, fidelity=0.5, per_face="0, 1")
    (listed,) = run(host, "DecodeFaces", codes=codes, fidelity=[0.0, 1.0])
    (high,) = run(host, "DecodeFaces", codes=codes, fidelity=1.0)
    assert torch.equal(mixed, listed)
    torch.testing.assert_close(mixed[1], high[1], atol=1e-5, rtol=0)
    assert not torch.allclose(mixed[0], high[0], atol=1e-3)
    with pytest.raises(host.core("errors").SettingError, match="3 values for 2 faces"):
        run(host, "DecodeFaces", codes=codes, fidelity=0.5, per_face="0, 1, 0.5")


def test_restoring_takes_a_fidelity_for_each_face_too(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    def restored(**fidelity: Any) -> torch.Tensor:
        return run(host, "RestoreFaces", crops=crops, model=tiny, **fidelity)[0]

    mixed = restored(fidelity=0.5, per_face="0, 1")
    for index, value in enumerate((0.0, 1.0)):
        alone = restored(fidelity=value)[index]
        torch.testing.assert_close(mixed[index], alone, atol=1e-5, rtol=0)
    assert torch.equal(restored(fidelity=0.5, per_face=" "), restored(fidelity=0.5))
    with pytest.raises(host.core("errors").SettingError, match="3 values for 2 faces"):
        restored(fidelity=0.5, per_face="0, 1, 0.5")


def test_codes_survive_out_of_memory_and_eviction(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = crops.repeat(2, 1, 1, 1)
    (expected,) = run(host, "RestoreFaces", crops=batch, fidelity=0.7, model=tiny)
    for name in ("encode", "decode"):
        monkeypatch.setattr(tiny, name, _at_most_one(host, getattr(tiny, name)))
    (codes,) = run(host, "EncodeFaces", crops=batch, model=tiny)
    host.memory.unload_all_models()
    (decoded,) = run(host, "DecodeFaces", codes=codes, fidelity=0.7)
    torch.testing.assert_close(decoded, expected, atol=1e-5, rtol=0)


def _at_most_one(host: SimpleNamespace, half: Any) -> Any:
    def limited(batch: Any, *rest: Any, **more: Any) -> Any:
        count = len(batch) if isinstance(batch, torch.Tensor) else len(batch.codes)
        if count > 1:
            raise host.memory.OOM_EXCEPTION("out of memory, says the test")
        return half(batch, *rest, **more)

    return limited


def test_sweep_and_code_maps_come_from_one_encoding(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (codes,) = run(host, "EncodeFaces", crops=crops, model=tiny)
    monkeypatch.setattr(tiny, "encode", pytest.fail)
    grid, faces = run(host, "FidelitySweep", codes=codes, fidelities="0, 0.5, 1", width=64)
    assert faces.shape == (6, 64, 64, 3)
    assert grid.shape[2] == 4 * 76 + 12
    maps, nearest = run(host, "CodesToImage", codes=codes, source="nearest", size=128)
    assert maps.shape == (2, 128, 128, 3)
    (other,) = run(host, "DecodeFaces", codes=nearest, fidelity=0.0)
    assert not torch.equal(other, faces[::3])


# ---------------------------------------------------------------------------------------- variants


def test_inpainting_is_exact_outside_of_the_mask_and_says_what_the_model_is(
    host: SimpleNamespace,
    tiny: Any,
    make_faces: Any,
    pictures: torch.Tensor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    mask = torch.zeros(1, SIDE, SIDE)
    mask[:, 40:70, 40:80] = 1
    faces = differing(make_faces)
    filled, reached = run(
        host, "InpaintFaces", image=pictures, mask=mask, fidelity=1.0, model=tiny, faces=faces
    )
    assert torch.equal(filled[:, mask[0] == 0], pictures[:, mask[0] == 0])
    assert torch.equal(filled[1], pictures[1])
    assert not torch.equal(filled[0], pictures[0])
    assert reached[1].sum() == 0 < reached[0].sum()
    assert "codeformer_inpainting.pth" in caplog.text


def test_gray_faces_of_a_picture_get_colours_and_the_rest_stays(
    host: SimpleNamespace, tiny: Any, make_faces: Any, pictures: torch.Tensor
) -> None:
    gray = pictures.mean(-1, keepdim=True).expand_as(pictures)
    coloured, mask = run(
        host,
        "ColorizeFaces",
        image=gray,
        fidelity=0.0,
        model=tiny,
        faces=differing(make_faces),
        feather=0.1,
    )
    assert torch.equal(coloured[mask == 0], gray[mask == 0])
    assert (coloured[0] - coloured[0].mean(-1, keepdim=True)).abs().max() > 0.02
    (alone, _) = run(host, "ColorizeFaces", image=gray[..., :64, :64, :], fidelity=0.0, model=tiny)
    assert alone.shape == (3, 64, 64, 3)


def test_crops_keep_their_opacity_and_a_broken_one_is_not_in_the_mask(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = tiny.forward

    def broken(batch: torch.Tensor, *rest: Any) -> torch.Tensor:
        restored = forward(batch, *rest)
        restored[0] = float("nan")
        return restored

    monkeypatch.setattr(tiny, "forward", broken)
    opacity = torch.linspace(0, 1, 64).expand(2, 64, 64)[..., None]
    layered = torch.cat([crops, opacity], dim=-1)
    coloured, mask = run(host, "ColorizeFaces", image=layered, fidelity=0.0, model=tiny)
    assert torch.equal(coloured[0], layered[0])
    assert torch.equal(coloured[..., 3:], opacity)
    assert not torch.equal(coloured[1], layered[1])
    assert mask.amax((1, 2)).tolist() == mask.amin((1, 2)).tolist() == [0, 1]
    larger = layered.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert run(host, "ColorizeFaces", image=larger, fidelity=0.0, model=tiny)[0].shape[1:] == (
        64,
        64,
        4,
    )


# ------------------------------------------------------------------------- degradation, comparison


def degrading(**changed: Any) -> dict[str, Any]:
    settings = {"blur": 2.0, "motion": 0.0, "downsample": 4.0, "noise": 5.0, "sensor_noise": 2.0}
    return {**settings, "jpeg_quality": 60, "seed": 1, **changed}


def test_degradation_follows_its_seed_and_lowers_quality(
    host: SimpleNamespace, pictures: torch.Tensor
) -> None:
    one, same, other = (
        run(host, "DegradeImage", image=pictures, **degrading(seed=seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    better = run(
        host, "DegradeImage", image=pictures, **degrading(blur=0.0, downsample=1.0, noise=1.0)
    )[0]
    scores = [run(host, "CompareFaces", image=pictures, other=worse)[0] for worse in (one, better)]
    assert scores[0] < scores[1] - 1


def test_nothing_to_degrade_changes_nothing(host: SimpleNamespace, pictures: torch.Tensor) -> None:
    settings = {"blur": 0.0, "downsample": 1.0, "noise": 0.0, "sensor_noise": 0.0}
    (same,) = run(host, "DegradeImage", image=pictures, **degrading(jpeg_quality=0, **settings))
    assert torch.equal(same, pictures)


def test_comparison_gives_numbers_and_words(
    host: SimpleNamespace, pictures: torch.Tensor, make_faces: Any
) -> None:
    result = host.nodes["CodeFormerCompareFaces"].execute(
        image=pictures, other=pictures.flip(1), faces=differing(make_faces)
    )
    psnr, ssim, identity, _, text = result.args
    assert 0 < psnr < 20
    assert ssim < 0.5
    assert identity > 0 or math.isnan(identity)
    assert len(text.splitlines()) == 4
    assert result.ui.as_dict()["text"] == (text,)


def test_cancel_stops_a_comparison(host: SimpleNamespace, pictures: torch.Tensor) -> None:
    host.memory.interrupt_current_processing(True)
    with pytest.raises(host.memory.InterruptProcessingException):
        run(host, "CompareFaces", image=pictures, other=pictures)


# ------------------------------------------------------------------------------------- odd inputs


def test_no_face_goes_through_every_block(
    host: SimpleNamespace, tiny: Any, make_faces: Any, pictures: torch.Tensor
) -> None:
    image, nobody = pictures[:1], make_faces()
    none = torch.zeros(0, 64, 64, 3)
    assert run(host, "SelectFaces", faces=nobody, rule="numbers", numbers="4")[0].count == 0
    (codes,) = run(host, "EncodeFaces", crops=none, model=tiny)
    assert run(host, "DecodeFaces", codes=codes, fidelity=0.5)[0].shape == none.shape
    assert run(host, "FidelitySweep", codes=codes, fidelities="0, 1")[1].shape == none.shape
    maps, _ = run(host, "CodesToImage", codes=codes, source="transformer", size=64)
    assert maps.shape == none.shape
    mask = torch.ones(1, SIDE, SIDE)
    filled, reached = run(
        host, "InpaintFaces", image=image, mask=mask, fidelity=1.0, model=tiny, faces=nobody
    )
    assert torch.equal(filled, image)
    assert reached.sum() == 0
    coloured, _ = run(host, "ColorizeFaces", image=image, fidelity=0.0, model=tiny, faces=nobody)
    assert torch.equal(coloured, image)
    assert "nothing to compare" in run(host, "CompareFaces", image=none, other=none)[4]


def test_one_pixel_goes_through(host: SimpleNamespace, tiny: Any) -> None:
    pixel = torch.full((1, 1, 1, 3), 0.3)
    assert run(host, "DegradeImage", image=pixel, **degrading())[0].shape == pixel.shape
    assert run(host, "CompareFaces", image=pixel, other=pixel)[0] == math.inf
    (codes,) = run(host, "EncodeFaces", crops=pixel, model=tiny)
    assert run(host, "DecodeFaces", codes=codes, fidelity=0.5)[0].shape == (1, 64, 64, 3)
    mask = torch.ones(1, 1, 1)
    filled, _ = run(host, "InpaintFaces", image=pixel, mask=mask, fidelity=1.0, model=tiny)
    assert filled.shape == pixel.shape


# -------------------------------------------------------------------------------- the host's cache


def test_new_fidelity_does_not_run_the_encoder_again(server: Any) -> None:
    def prompt(fidelity: float) -> dict[str, Any]:
        empty = {"width": 64, "height": 64, "batch_size": 1, "color": 0x805030}
        return {
            "1": {"class_type": "EmptyImage", "inputs": empty},
            "2": {"class_type": "CodeFormerLoader", "inputs": {"file": "tiny.safetensors"}},
            "3": {
                "class_type": "CodeFormerEncodeFaces",
                "inputs": {"crops": ["1", 0], "model": ["2", 0]},
            },
            "4": {
                "class_type": "CodeFormerDecodeFaces",
                "inputs": {"codes": ["3", 0], "fidelity": fidelity},
            },
            "5": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
        }

    first, second = (server.wait(server.post(prompt(value))) for value in (0.0, 1.0))
    assert [entry["status"]["status_str"] for entry in (first, second)] == ["success"] * 2
    cached = dict(second["status"]["messages"])["execution_cached"]["nodes"]
    assert set(cached) == {"1", "2", "3"}
    shown = [server.picture(entry["outputs"]["5"]["images"][0]) for entry in (first, second)]
    assert shown[0] != shown[1]


# ------------------------------------------------------------------------------------------ people


def test_a_known_person_is_found(host: SimpleNamespace, astronaut: torch.Tensor) -> None:
    pair = torch.cat([astronaut.flip(1), torch.zeros_like(astronaut)], dim=1)[None]
    matching, others, numbers, text, count = run(
        host, "MatchPeople", image=pair, references=astronaut[None]
    )
    assert (matching.count, others.count, numbers, count) == (1, 0, "1", 1)
    assert "face 1: person 1" in text
    matching, others, numbers, _, _ = run(
        host, "MatchPeople", image=pair, references=astronaut[None], faces=matching, person=2
    )
    assert (matching.count, others.count, numbers) == (0, 1, "")


def test_the_fidelity_of_each_face_can_be_left_to_the_node(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor, astronaut: torch.Tensor
) -> None:
    node = host.nodes["CodeFormerRestoreFaces"]
    result = node.execute(crops=crops, fidelity=0.3, model=tiny, auto_fidelity=True)
    (note,) = result.ui["codeformer_notes"]
    chosen = note.removeprefix("fidelity chosen for each face: ")
    assert len(chosen.split(", ")) == len(crops)
    (listed,) = run(host, "RestoreFaces", crops=crops, fidelity=0.3, model=tiny, per_face=chosen)
    torch.testing.assert_close(result.args[0], listed, atol=1e-5, rtol=0)
    (codes,) = run(host, "EncodeFaces", crops=crops, model=tiny)
    references = astronaut[None]
    (decoded,) = run(
        host, "DecodeFaces", codes=codes, fidelity=0.3, auto_fidelity=True, references=references
    )
    torch.testing.assert_close(decoded, listed, atol=1e-5, rtol=0)


def test_people_on_references_are_drawn(
    host: SimpleNamespace, tiny: Any, tiny_file: Path, astronaut: torch.Tensor
) -> None:
    crops = astronaut[None, 40:210, 138:308]
    (codes,) = run(host, "EncodeFaces", crops=crops, model=tiny)

    def restored(strength: float = 1.0) -> tuple[torch.Tensor, list[str]]:
        settings = {"fidelity": 0.5, "references": astronaut[None], "reference_strength": strength}
        with torch.inference_mode():
            whole = host.nodes["CodeFormerRestoreFaces"].execute(
                crops=crops, model=tiny, **settings
            )
            decoded = host.nodes["CodeFormerDecodeFaces"].execute(codes=codes, **settings)
        torch.testing.assert_close(decoded.args[0], whole.args[0], atol=1e-5, rtol=0)
        assert set(decoded.ui["codeformer_notes"]) <= set(whole.ui["codeformer_notes"])
        return whole.args[0], whole.ui["codeformer_notes"]

    plain, notes = restored()
    assert "trained beside" in notes[0]
    conditioning = host.core("people.conditioning")
    network = host.core("networks.references").ReferenceConditioning.of(tiny.config, (16,))
    torch.nn.init.normal_(network.get_parameter("sides.16.out.weight"))
    file = tiny_file.with_name("tiny_references.safetensors")
    conditioning.save_conditioning(file, conditioning.Conditioning.beside(tiny, network))
    try:
        changed, notes = restored()
        assert "restored with the references: face 1" in notes[0]
        assert (changed - plain).abs().max() > 1e-3
        nothing, notes = restored(0.0)
        torch.testing.assert_close(nothing, plain)
        assert not any("references" in note for note in notes)
    finally:
        file.unlink()
        host.memory.unload_all_models()


def test_a_person_is_learnt_and_applied(
    host: SimpleNamespace, crops: torch.Tensor, astronaut: torch.Tensor, monkeypatch: Any
) -> None:
    """The adapter lands in the host's folder, and the model it was made for takes it."""
    training = host.core("training.personal").PersonalSettings
    quick = training(rank=2, steps=1, batch_size=2, looks=1, check_every=1)
    monkeypatch.setattr(host.core("training.personalize"), "PersonalSettings", lambda: quick)
    photos = torch.stack([astronaut, astronaut.flip(1), 0.7 * astronaut])
    name, text = run(host, "Personalize", photos=photos, name="anna", base="built-in")
    assert name == "anna.safetensors"
    assert "builtin, 3 photos" in text
    file = host.base / "models" / "facerestore_adapters" / name
    learn = host.nodes["CodeFormerPersonalize"]
    before = learn.fingerprint_inputs(name="anna", base="built-in")
    away = file.rename(file.with_suffix(".away"))
    lost = learn.fingerprint_inputs(name="anna", base="built-in")
    away.rename(file)
    assert before != lost == learn.fingerprint_inputs(name="anna", base="built-in")
    (model,) = run(host, "ApplyPerson", adapter=name, strength=1.0)
    assert run(host, "RestoreFaces", crops=crops, fidelity=0.5, model=model)[0].isfinite().all()
    (by_likeness,) = run(host, "ApplyPerson", adapter=name, whose="faces like the person's")
    (plain,) = run(host, "RestoreFaces", crops=crops, fidelity=0.5)
    (nobody,) = run(host, "RestoreFaces", crops=crops, fidelity=0.5, model=by_likeness)
    torch.testing.assert_close(nobody, plain)
    (codes,) = run(host, "EncodeFaces", crops=crops, model=by_likeness)
    (decoded,) = run(host, "DecodeFaces", codes=codes, fidelity=0.5)
    torch.testing.assert_close(decoded, plain, atol=1e-5, rtol=0)


def test_an_adapter_of_another_model_is_refused(
    host: SimpleNamespace, tiny: Any, crops: torch.Tensor
) -> None:
    adapters = host.core("people.adapters")
    builtin = host.shared.restorer("built-in")
    sample = host.core("people.bases").base_sample(builtin)
    made = adapters.Adapter({}, sample, torch.zeros(3, 128), {"base": "builtin"}, "ben")
    with pytest.raises(host.core("errors").CheckpointError, match="ben was made for builtin"):
        made.apply(tiny)
    node = host.nodes["CodeFormerApplyPerson"]
    assert "make one with Personalize" in node.validate_inputs("nobody.safetensors")
    with pytest.raises(host.core("errors").SettingError, match="no name for an adapter"):
        run(host, "Personalize", photos=torch.zeros(3, 8, 8, 3), name="../anna")


def test_restorers_are_compared_side_by_side(host: SimpleNamespace, tiny: Any) -> None:
    from skimage import data

    photo = torch.from_numpy(data.astronaut())[None].float() / 255
    with torch.inference_mode():
        result = host.nodes["CodeFormerCompareRestorers"].execute(
            image=photo, model=tiny, model_3=tiny, fidelities="0, 1", width=64
        )
    sheet, table = result.args
    assert sheet.shape[2] == 5 * 76 + 12, "input, and two models at two fidelities"
    columns = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert columns == ["input", *["tiny"] * 4]
    assert result.ui["text"] == (table,)
