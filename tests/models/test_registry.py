"""Kinds, variants and sizes are read from keys and shapes."""

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from codeformer_core.checkpoints import read_state, save_network, write_state
from codeformer_core.checkpoints.names import to_published
from codeformer_core.checkpoints.reader import Metadata, WeightFile
from codeformer_core.errors import CheckpointError
from codeformer_core.models import convert, describe, load_detector, load_restorer, registry
from codeformer_core.models.empty import build_empty
from codeformer_core.models.registry import KINDS, Config, ModelKind, read_config, recognise
from codeformer_core.networks import CodeFormerConfig, VQGANConfig

State = dict[str, torch.Tensor]
CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


def identify(state: State, metadata: Metadata | None = None) -> tuple[ModelKind, Config | None]:
    file = WeightFile(dict(state), metadata or {})
    kind = recognise(file)
    return kind, read_config(kind, file)


def config_of(state: State, metadata: Metadata | None = None) -> Config | None:
    return identify(state, metadata)[1]


PUBLISHED = {
    "restoration": (1024, (32, 64, 128, 256), 515),
    "inpainting": (512, (32, 64, 128), 497),
    "colorization": (1024, (32, 64, 128), 497),
}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_published_variants_are_told_apart_without_metadata(variant: str) -> None:
    peer = pytest.importorskip("spandrel_extra_arches.architectures.CodeFormer")
    codes, fusion_sizes, tensors = PUBLISHED[variant]
    with torch.device("meta"):
        network = peer.CodeFormer(codebook_size=codes, connect_list=list(map(str, fusion_sizes)))
    state = network.state_dict()
    assert len(state) == tensors
    assert config_of(state) == CodeFormerConfig(
        VQGANConfig(codebook_size=codes), fusion_sizes=fusion_sizes, variant=variant
    )


CONFIGS = {
    "published": CodeFormerConfig(),
    "no fusion (stage II)": CodeFormerConfig(fusion_sizes=()),
    "deep and narrow": CodeFormerConfig(width=96, layers=12, fusion_sizes=(16, 512)),
    "one level": CodeFormerConfig(
        VQGANConfig(16, 32, (1,), 1, (), 8, 4), width=8, layers=1, fusion_sizes=(16,)
    ),
    "patch stem": CodeFormerConfig(
        VQGANConfig(128, 32, (2, 3, 6), 3, (16, 32), 512, 64, patch=2),
        width=256,
        layers=5,
        fusion_sizes=(32, 64),
    ),
    "quarter stem": CodeFormerConfig(
        VQGANConfig(256, 64, (1, 2), 2, (64,), 100, 32, patch=4), width=64, fusion_sizes=(64,)
    ),
    "deeper generator": CodeFormerConfig(
        VQGANConfig(64, 32, (1, 2), 1, (), 16, 32, generator_blocks=(3, 2)),
        width=32,
        layers=1,
        fusion_sizes=(64,),
    ),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("published", [True, False])
def test_every_size_comes_back(config: CodeFormerConfig, published: bool) -> None:
    state = dict(build_empty(config).state_dict())
    assert config_of(to_published(state) if published else state) == config


def test_what_no_shape_tells_is_remembered_by_the_file(tmp_path: Path) -> None:
    vqgan = VQGANConfig(64, 32, (1, 2), 1, (), 16, 32, narrow_norm_groups=8)
    plain = CodeFormerConfig(vqgan, width=32, layers=1, fusion_sizes=(64,))
    warm = [replace(plain, code_temperature=each) for each in (1e-5, 0.1234567, 0.5, 1e6)]
    told: dict[str, str] = {}
    for config in (vqgan, *warm, plain):  # the last with what the one before it said
        for name in ("network.safetensors", "network.pth"):
            network = build_empty(config).to_empty(device="cpu")
            state, metadata = read_state(save_network(tmp_path / name, network, told))
            assert config_of(state, metadata) == config
        told = metadata


@pytest.mark.parametrize("name", CONFIGS)
def test_autoencoder_sizes_come_back(name: str) -> None:
    config = CONFIGS[name].vqgan
    state, metadata = dict(build_empty(config).state_dict()), {"image_size": str(config.image_size)}
    kind, found = identify(state, metadata)
    assert (kind.kind, found) == ("vqgan", config)


def test_an_autoencoder_without_metadata_has_the_published_code_map() -> None:
    assert config_of(dict(build_empty(VQGANConfig()).state_dict())) == VQGANConfig()


def test_metadata_says_what_shapes_cannot(tiny_config: CodeFormerConfig) -> None:
    state = dict(build_empty(tiny_config).state_dict())
    found = config_of(state, {"variant": "colorization", "heads": "4"})
    assert found == replace(tiny_config, variant="colorization", heads=4)


def test_metadata_wins_over_the_guessed_variant() -> None:
    config = CodeFormerConfig(VQGANConfig(codebook_size=512), fusion_sizes=(32, 64, 128))
    state = dict(build_empty(config).state_dict())
    assert config_of(state) == replace(config, variant="inpainting")
    assert config_of(state, {"variant": "restoration"}) == config


@pytest.mark.parametrize(
    "metadata",
    [
        {"heads": "seven"},
        {"heads": "0"},
        {"heads": "9" * 5000},
        {"heads": "3"},
        {"variant": "sharpening"},
        {"code_temperature": "warm"},
        {"code_temperature": "-1"},
        {"code_temperature": "nan"},
    ],
)
def test_impossible_metadata_is_named(
    metadata: dict[str, str], tiny_config: CodeFormerConfig
) -> None:
    state = dict(build_empty(tiny_config).state_dict())
    what = f"looks like a CodeFormer, but .*({'|'.join(metadata)})"
    with pytest.raises(CheckpointError, match=what):
        identify(state, metadata)


def _facexlib(kind: str) -> State:
    detection = pytest.importorskip("facexlib.detection.retinaface")
    if kind.startswith("retinaface_"):
        return detection.RetinaFace(kind.removeprefix("retinaface_")).state_dict()
    from facexlib.parsing.bisenet import BiSeNet
    from facexlib.parsing.parsenet import ParseNet

    with torch.device("meta"):
        network = BiSeNet(19) if kind == "bisenet" else ParseNet(512, 512, parsing_ch=19)
    return network.state_dict()


@pytest.mark.parametrize(
    "kind", ["retinaface_resnet50", "retinaface_mobile0.25", "parsenet", "bisenet"]
)
def test_detectors_and_parsers_are_recognised(kind: str) -> None:
    assert identify(_facexlib(kind))[0].kind == kind


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("gfpgan", ["stylegan_decoder.style_mlp.1.weight", "conv_body_first.weight"]),
        ("restoreformer", ["vqvae.encoder.conv_in.weight", "vqvae.quantize.embedding.weight"]),
        ("esrgan", ["conv_first.weight", "body.0.rdb1.conv1.weight"]),
        ("esrgan", ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"]),
        ("stable-diffusion", ["model.diffusion_model.input_blocks.0.0.weight"]),
        ("unknown", ["fc.other"]),
    ],
)
def test_foreign_networks_come_with_advice(kind: str, keys: list[str]) -> None:
    found, config = identify({key: torch.zeros(1) for key in keys})
    assert found.kind == kind
    assert config is None
    assert len(found.advice) > 20


def test_nothing_is_unknown() -> None:
    assert identify({})[0].kind == "unknown"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantize.embedding.weight": None}, "quantize.embedding.weight' is missing"),
        ({"position_emb": (250, 512)}, "250 positions do not make a square"),
        ({"position_emb": (256,)}, "position_emb' has shape"),
        ({"position_emb": (1 << 16, 512)}, "crops of 8192 px"),
        ({"encoder.blocks.0.weight": (64, 5, 3, 3)}, "channel counts"),
        ({"encoder.blocks.0.weight": (0, 3, 3, 3)}, "encoder.blocks.0.weight' has shape"),
        ({"encoder.blocks.0.weight": (48, 3, 3, 3)}, "channel|multiples"),
        ({"encoder.blocks.30.weight": (8,)}, "not numbered from 0"),
        ({"ft_layers.99.norm1.weight": (8,)}, "not numbered from 0"),
        ({"fuse_convs_dict.48.scale.0.weight": (8, 8, 3, 3)}, "fusion sizes"),
    ],
)
def test_contradicting_shapes_are_named(
    change: dict[str, tuple[int, ...] | None], reason: str
) -> None:
    state = dict(build_empty(CodeFormerConfig()).state_dict())
    for key, shape in change.items():
        if shape is None:
            del state[key]
        else:
            state[key] = torch.empty(shape, device="meta")
    with pytest.raises(CheckpointError, match=rf"looks like a CodeFormer, but .*({reason})"):
        identify(state)


def test_no_kind_has_two_rows_and_every_role_is_played() -> None:
    assert len({row.kind for row in KINDS}) == len(KINDS)
    assert all(row.build for row in KINDS if row.role)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The detector that CONTRIBUTING.md adds as an example; the table forgets it afterwards."""
    file, row = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)
    module = ModuleType("codeformer_core.faces.detection.bright_spot")
    module.__package__ = "codeformer_core.faces.detection"
    exec(file, vars(module))  # noqa: S102 (our own text)
    names = {**vars(registry), "bright_spot": module}
    (added,) = eval(f"({row.partition('bright_spot')[2]})", names)  # noqa: S307
    monkeypatch.setattr(registry, "KINDS", (added, *KINDS))
    return module


def test_one_file_and_one_row_are_all_a_new_detector_needs(toy: ModuleType, tmp_path: Path) -> None:
    network = toy.BrightSpotNetwork()
    torch.nn.init.constant_(network.bright_spot.weight, 0.1)
    path = write_state(tmp_path / "spot.pth", network.state_dict())
    picture = torch.zeros(1, 100, 200, 3)
    picture[:, 40:50, 60:70] = 1.0
    (face,) = load_detector(convert(path, tmp_path / "spot.safetensors")).detect(picture)
    assert face.box.centre == pytest.approx((65, 45), abs=4)
    assert "a BrightSpot detector: use it as the face detector" in str(describe(path))
    with pytest.raises(
        CheckpointError, match=r"spot\.pth: is a BrightSpot .*, not a face restorer"
    ):
        load_restorer(path)


def test_tensors_that_do_not_fit_are_named(toy: ModuleType, tmp_path: Path) -> None:
    path = write_state(tmp_path / "spot.pth", {"bright_spot.weight": torch.zeros(1, 3, 5, 5)})
    with pytest.raises(CheckpointError, match=r"spot\.pth: looks like a BrightSpot.*bias"):
        load_detector(path)


def test_a_file_is_read_once(
    safetensors_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    original = registry.read_weights

    def counted(path: Path) -> WeightFile:
        read.append(path)
        return original(path)

    monkeypatch.setattr(registry, "read_weights", counted)
    assert load_restorer(safetensors_file).size == 64
    assert read == [safetensors_file]
