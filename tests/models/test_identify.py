"""Kinds, variants and sizes are read from keys and shapes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import read_state, save_network
from codeformer_core.checkpoints.names import to_published
from codeformer_core.errors import CheckpointError
from codeformer_core.models import identify
from codeformer_core.models.empty import build_empty
from codeformer_core.networks import CodeFormerConfig, VQGANConfig

State = dict[str, torch.Tensor]

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
    assert identify(state).config == CodeFormerConfig(
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
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("published", [True, False])
def test_every_size_comes_back(config: CodeFormerConfig, published: bool) -> None:
    state = dict(build_empty(config).state_dict())
    assert identify(to_published(state) if published else state).config == config


def test_groups_of_narrow_norms_are_remembered_by_the_file(tmp_path: Path) -> None:
    vqgan = VQGANConfig(64, 32, (1, 2), 1, (), 16, 32, narrow_norm_groups=8)
    whole = CodeFormerConfig(vqgan, width=32, layers=1, fusion_sizes=(64,))
    for name in ("network.safetensors", "network.pth"):
        for config in (vqgan, whole):
            path = save_network(tmp_path / name, build_empty(config).to_empty(device="cpu"))
            assert identify(*read_state(path)).config == config


@pytest.mark.parametrize("name", ["published", "one level", "patch stem", "quarter stem"])
def test_autoencoder_sizes_come_back(name: str) -> None:
    config = CONFIGS[name].vqgan
    info = identify(dict(build_empty(config).state_dict()), {"image_size": str(config.image_size)})
    assert (info.kind, info.config) == ("vqgan", config)


def test_an_autoencoder_without_metadata_has_the_published_code_map() -> None:
    info = identify(dict(build_empty(VQGANConfig()).state_dict()))
    assert info.config == VQGANConfig()


def test_metadata_says_what_shapes_cannot(tiny_config: CodeFormerConfig) -> None:
    state = dict(build_empty(tiny_config).state_dict())
    info = identify(state, {"variant": "colorization", "heads": "4"})
    assert info.config == replace(tiny_config, variant="colorization", heads=4)
    assert info.variant == "colorization"


def test_metadata_wins_over_the_guessed_variant() -> None:
    config = CodeFormerConfig(VQGANConfig(codebook_size=512), fusion_sizes=(32, 64, 128))
    state = dict(build_empty(config).state_dict())
    assert identify(state).variant == "inpainting"
    assert identify(state, {"variant": "restoration"}).variant == "restoration"


@pytest.mark.parametrize(
    "metadata",
    [
        {"heads": "seven"},
        {"heads": "0"},
        {"heads": "9" * 5000},
        {"heads": "3"},
        {"variant": "sharpening"},
    ],
)
def test_impossible_metadata_is_named(
    metadata: dict[str, str], tiny_config: CodeFormerConfig
) -> None:
    state = dict(build_empty(tiny_config).state_dict())
    with pytest.raises(CheckpointError, match=r"looks like a CodeFormer, but .*(heads|variant)"):
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
    assert identify(_facexlib(kind)).kind == kind


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("gfpgan", ["stylegan_decoder.style_mlp.1.weight", "conv_body_first.weight"]),
        ("restoreformer", ["vqvae.encoder.conv_in.weight", "vqvae.quantize.embedding.weight"]),
        ("esrgan", ["conv_first.weight", "body.0.rdb1.conv1.weight"]),
        ("esrgan", ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"]),
        ("yolov5-face", ["model.0.stem_1.conv.weight"]),
        ("stable-diffusion", ["model.diffusion_model.input_blocks.0.0.weight"]),
        ("unknown", ["fc.weight"]),
    ],
)
def test_foreign_networks_come_with_advice(kind: str, keys: list[str]) -> None:
    info = identify({key: torch.zeros(1) for key in keys})
    assert info.kind == kind
    assert info.config is None
    assert len(info.advice) > 20


def test_nothing_is_unknown() -> None:
    assert identify({}).kind == "unknown"


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
