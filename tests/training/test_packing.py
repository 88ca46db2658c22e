"""A packed folder holds what training needs, and a run comes back from its parts."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.checkpoints import read_state, save_network
from codeformer_core.errors import CheckpointError, PictureError, SettingError
from codeformer_core.networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig
from codeformer_core.training import packing, parcels
from codeformer_core.training.augmentation import Augmentation
from codeformer_core.training.config import RunConfig
from codeformer_core.training.growing import grow
from codeformer_core.training.loop import Trainer
from codeformer_core.training.packing import pack_evaluation, pack_faces, read_index
from codeformer_core.training.parcels import read_parcels, write_parcels
from codeformer_core.training.sources import find_pictures
from codeformer_core.training.stage_two import CodePredictionStage
from codeformer_core.training.starts import pack_start

MakeConfig = Callable[..., RunConfig]
INDEX = """split,file,source,side_px,native_side_px,person
train,0.png,blue,80,200.5,
train,1.png,blue,80,60.0,
train,2.png,green,80,64.0,17
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.csv"
    path.write_text(INDEX)
    return path


def test_faces_travel_with_their_notes(
    face_folder: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHARD_BYTES", 12_000)
    out = tmp_path / "packed"
    weights = {"blue": 0.5}
    report = pack_faces(face_folder, read_index(index), out, size=64, quality=80, weights=weights)
    assert (report.faces, report.too_small) == (7, 1)  # number 1 had been enlarged
    assert report.sources == {"blue": 1, "green": 1, "": 5}
    shards = sorted(out.glob("*.tar"))
    assert len(shards) > 1
    assert all(path.stat().st_size < 24_000 for path in shards)
    pictures = find_pictures(out)
    assert {picture.side for picture in pictures} == {64}
    assert [picture.weight for picture in pictures] == [0.5] + [1.0] * 6
    with tarfile.open(shards[0]) as archive:
        about = json.load(archive.extractfile("2.json"))  # pyright: ignore
    assert about == {"source": "green", "person": "17", "native": 64.0, "weight": 1.0}
    with pytest.raises(SettingError, match="holds shards"):
        pack_faces(face_folder, {}, out, size=64, quality=80, weights={})


def test_sources_that_do_not_exist_are_refused(
    face_folder: Path, index: Path, tmp_path: Path
) -> None:
    for notes, weights in ((read_index(index), {"red": 0.5}), ({}, {"blue": 0.5})):
        with pytest.raises(SettingError, match="no face is from"):
            out = tmp_path / str(len(notes))
            pack_faces(face_folder, notes, out, size=64, quality=80, weights=weights)
    (face_folder / "text.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PictureError, match=r"text\.csv: not an index"):
        read_index(face_folder / "text.csv")


def test_some_faces_to_evaluate_on_are_taken_evenly(face_folder: Path, tmp_path: Path) -> None:
    assert pack_evaluation(face_folder, tmp_path, 64, 4) == 4
    names = sorted(path.name for path in (tmp_path / "evaluation").iterdir())
    assert names == ["0.webp", "2.webp", "4.webp", "6.webp"]


SMALL = CodeFormerConfig(
    VQGANConfig(64, 32, (2, 3), 1, (16,), 64, 32, 2), width=32, layers=1, fusion_sizes=(16, 32)
)
LARGE = replace(
    SMALL,
    vqgan=VQGANConfig(128, 32, (1, 2, 3), 1, (16,), 64, 32, 2, narrow_norm_groups=8),
    fusion_sizes=(16, 32, 64),
)


def test_larger_network_begins_as_the_smaller_one() -> None:
    torch.manual_seed(0)
    small, large = CodeFormer(SMALL), CodeFormer(LARGE)
    new = grow(large, small)
    assert {name.split(".")[0] for name in new} == {"encoder", "generator", "fuse_convs_dict"}
    assert {name.split(".")[2] for name in new if name.startswith("encoder")} == {"0", "1", "2"}
    assert all(name.split(".")[1] == "64" for name in new if name.startswith("fuse"))
    tensors = large.state_dict()
    assert torch.equal(
        tensors["encoder.blocks.5.conv1.weight"],
        small.state_dict()["encoder.blocks.3.conv1.weight"],
    )
    codes = large.encode(torch.rand(1, 3, 128, 128))
    with torch.no_grad():
        changed = large.decode(codes, 1.0) - large.decode(codes, 0.0)
    assert float(changed.abs().max()) > 0  # the small one's fusions are there


def test_deeper_generator_begins_as_the_one_it_grew_from() -> None:
    torch.manual_seed(0)
    small = VQGAN(LARGE.vqgan)
    deep = VQGAN(replace(LARGE.vqgan, generator_blocks=(3, 2, 1)))
    new = grow(deep, small)
    kinds = [type(each).__name__ for each in deep.generator.blocks]
    assert kinds.count("ResidualBlock") == 5 + 3
    assert {name.split(".")[0] for name in new} == {"generator"}
    assert {kinds[int(name.split(".")[2])] for name in new} == {"ResidualBlock"}
    faces = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        assert torch.allclose(deep(faces), small(faces), atol=1e-6)


def test_start_of_a_run_must_have_its_sizes(tmp_path: Path) -> None:
    one = save_network(tmp_path / "one.safetensors", VQGAN(replace(LARGE.vqgan, codebook_size=32)))
    with pytest.raises(CheckpointError, match=r"one\.safetensors: does not fit the sizes"):
        list(pack_start(tmp_path / "packed", LARGE, one, None, None))


def test_start_of_a_run_leaves_out_what_stage_one_gives(
    tmp_path: Path, run_config: MakeConfig
) -> None:
    torch.manual_seed(0)
    one = save_network(tmp_path / "one.safetensors", VQGAN(LARGE.vqgan))
    small = save_network(tmp_path / "small.safetensors", CodeFormer(SMALL))
    files = list(pack_start(tmp_path / "packed", LARGE, one, str(small), None))
    assert [path.name for path, _ in files] == ["stage1.safetensors", "stage2.safetensors"]
    assert files[1][1] > 0
    assert files[1][0].stat().st_size < 0.6 * one.stat().st_size + small.stat().st_size
    config = run_config(stage=2, model=LARGE, autoencoder=str(files[0][0]))
    stage = CodePredictionStage(replace(config, start_from=str(files[1][0])))
    tensors = stage.network.state_dict()
    assert torch.equal(
        tensors["ft_layers.0.linear1.weight"],
        read_state(small)[0]["ft_layers.0.linear1.weight"].half().float(),
    )
    prior = stage.autoencoder.state_dict()
    assert torch.equal(tensors["generator.blocks.0.weight"], prior["generator.blocks.0.weight"])


@pytest.fixture
def run(tmp_path: Path, run_config: MakeConfig) -> Path:
    """Two stages of a run, the second one with codes to remember."""
    run = tmp_path / "run"
    Trainer(run_config(hold_out=0.3), run / "stage1").run()
    weights = str(run / "stage1" / "weights.safetensors")
    augmentation = Augmentation(variants=2)
    config = run_config(stage=3, autoencoder=weights, augmentation=augmentation, steps=3)
    Trainer(config, run / "stage3").run()
    return run


def states_of(run: Path, stage: str) -> dict[str, Tensor]:
    return torch.load(run / stage / "state.pt", weights_only=True)["average"]


def test_a_run_goes_on_from_its_parts(
    run: Path, tmp_path: Path, run_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "PART_BYTES", 100_000)
    parts = write_parcels(run, tmp_path / "parts")
    assert len(parts) > 2
    assert all(part.stat().st_size <= 100_000 for part in parts)
    back = tmp_path / "back"
    assert read_parcels(tmp_path / "parts", back) == ["stage1", "stage3"]
    for stage in ("stage1", "stage3"):
        returned = states_of(back, stage)
        for name, average in states_of(run, stage).items():
            assert torch.allclose(returned[name], average, atol=1e-3, rtol=1e-3)
        assert (back / stage / "log.jsonl").read_text() == (run / stage / "log.jsonl").read_text()
    assert (back / "stage1" / "samples.jpg").read_bytes()[:2] == b"\xff\xd8"
    weights = str(back / "stage1" / "weights.safetensors")
    config = run_config(
        stage=3, autoencoder=weights, augmentation=Augmentation(variants=2), steps=5
    )
    trainer = Trainer(config, back / "stage3")
    assert trainer.step == 3
    moments = list(trainer.optimizer.state.values())
    assert moments
    assert all(float(each["exp_avg"].abs().max()) == 0 for each in moments)
    assert any(float(each["exp_avg_sq"].abs().max()) > 0 for each in moments)
    assert trainer.run()
    first = Trainer(run_config(hold_out=0.3, steps=8), back / "stage1")
    assert (first.step, first.run()) == (6, True)


def test_a_generator_that_went_on_in_stage_three_travels(
    run: Path, tmp_path: Path, run_config: MakeConfig
) -> None:
    weights = str(run / "stage1" / "weights.safetensors")
    config = run_config(stage=3, autoencoder=weights, train_generator=True, learning_rate=0.01)
    (run / "stage3").rename(tmp_path / "frozen")
    Trainer(config, run / "stage3").run()
    write_parcels(run, tmp_path / "parts")
    read_parcels(tmp_path / "parts", tmp_path / "back")
    own, returned = states_of(run, "stage3"), states_of(tmp_path / "back", "stage3")
    name = "generator.blocks.0.weight"
    assert not torch.allclose(own[name], states_of(run, "stage1")[name], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(returned[name], own[name], atol=1e-3, rtol=1e-3)
    going_on = Trainer(replace(config, steps=8), tmp_path / "back" / "stage3")
    torch.testing.assert_close(going_on.stage.state()[f"network.{name}"], returned[name])


def test_moments_are_left_out_where_there_is_no_room(
    run: Path, tmp_path: Path, run_config: MakeConfig
) -> None:
    whole, tight = (
        sum(part.stat().st_size for part in write_parcels(run, tmp_path / str(limit), limit))
        for limit in (1 << 30, 0)
    )
    assert tight < 0.8 * whole
    read_parcels(tmp_path / "0", tmp_path / "back")
    assert Trainer(run_config(hold_out=0.3, steps=8), tmp_path / "back" / "stage1").run()


def test_parts_that_are_missing_or_in_the_way_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no part of a run"):
        read_parcels(tmp_path / "nowhere", tmp_path / "back")
    parts = write_parcels(run, tmp_path / "parts")
    with pytest.raises(CheckpointError, match="holds a run already"):
        read_parcels(tmp_path / "parts", run)
    parts[-1].write_bytes(parts[-1].read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="missing or damaged"):
        read_parcels(tmp_path / "parts", tmp_path / "back")
    with pytest.raises(CheckpointError, match="train a stage first"):
        write_parcels(tmp_path / "nothing", tmp_path / "parts")
