"""YOLOv5-face: finds faces and their five landmarks on three grids at once.

Qi et al. 2021, "YOLO5Face: Why Reinventing a Face Detector": a backbone (CSP blocks, Wang et al.
2019, or ShuffleNetV2 units, Ma et al. 2018), a path aggregation neck (Liu et al. 2018) and one
convolution for each grid. Keys are those of the published files, which number the layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-3
"""Of the batch norms, as the published weights were trained."""
POOLS = (3, 5, 7)
"""Sides of the windows of spatial pyramid pooling."""
STRIDES = (8, 16, 32)
"""Pixels of one cell of each grid."""
ANCHORS = 3
"""At every cell."""
VALUES = 16
"""Of an anchor: box (4), faceness, five points (10), probability of the class face."""


@dataclass(frozen=True)
class YoloFaceConfig:
    """Sizes of a YOLOv5-face network; all of them are visible in its weights."""

    stem: int
    """Channels after the stem."""
    widths: tuple[int, ...]
    """Channels of the stages: of strides 4 to 32, or 8 to 32 with shuffled units."""
    depths: tuple[int, ...]
    """Blocks or units of each stage."""
    shuffled: bool
    """Whether the backbone is made of ShuffleNetV2 units."""
    neck: tuple[tuple[int, int, int], ...]
    """Of the four joins of the neck: channels before and after it, and blocks."""

    @property
    def neck_start(self) -> int:
        """Number of the neck's first layer."""
        return 7 if self.shuffled else 9


class YoloFace(nn.Module):
    """(B, 3, H, W) RGB in 0..1, H and W multiples of 32, to three (B, 3, h, w, 16), not decoded."""

    def __init__(self, config: YoloFaceConfig) -> None:
        super().__init__()
        self.config = config
        backbone = _shuffled_backbone(config) if config.shuffled else _csp_backbone(config)
        start = config.neck_start
        self.model = nn.ModuleDict({str(index): layer for index, layer in backbone.items()})
        for index, layer in _neck(config).items():
            self.model[str(start + index)] = layer

    def forward(self, pictures: Tensor) -> list[Tensor]:
        layer, start = self._layer, self.config.neck_start
        fine, middle, coarse = self._backbone(pictures)
        # Down to the finest grid, and up again; each join sees what both ways know.
        top = layer(start, coarse)
        lateral = layer(start + 4, layer(start + 3, _joined(_doubled(top), middle)))
        small = layer(start + 7, _joined(_doubled(lateral), fine))
        medium = layer(start + 10, _joined(layer(start + 8, small), lateral))
        large = layer(start + 13, _joined(layer(start + 11, medium), top))
        return self.head([small, medium, large])

    @property
    def head(self) -> "Head":
        """The last layer, which holds the anchors."""
        head = self.model[str(self.config.neck_start + 14)]
        assert isinstance(head, Head)
        return head

    def _layer(self, index: int, x: Tensor) -> Tensor:
        return self.model[str(index)](x)

    def _backbone(self, pictures: Tensor) -> list[Tensor]:
        """Features at strides 8, 16 and 32."""
        levels = (2, 4, 6) if self.config.shuffled else (3, 5, 8)
        features, kept = pictures, list[Tensor]()
        for index in range(self.config.neck_start):
            features = self._layer(index, features)
            if index in levels:
                kept.append(features)
        return kept


def _csp_backbone(config: YoloFaceConfig) -> dict[int, nn.Module]:
    first, second, third, last = config.widths
    depths = config.depths
    return {
        0: Stem(config.stem),
        1: CrossStage(config.stem, first, depths[0]),
        2: ConvNorm(first, second, 3, 2),
        3: CrossStage(second, second, depths[1]),
        4: ConvNorm(second, third, 3, 2),
        5: CrossStage(third, third, depths[2]),
        6: ConvNorm(third, last, 3, 2),
        7: PyramidPooling(last),
        8: CrossStage(last, last, depths[3], shortcut=False),
    }


def _shuffled_backbone(config: YoloFaceConfig) -> dict[int, nn.Module]:
    layers: dict[int, nn.Module] = {0: Stem(config.stem)}
    entering = config.stem
    for index, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
        layers[2 * index + 1] = ShuffleUnit(entering, width, 2)
        units = [ShuffleUnit(width, width, 1) for _ in range(depth)]
        layers[2 * index + 2] = units[0] if depth == 1 else nn.Sequential(*units)
        entering = width
    return layers


def _neck(config: YoloFaceConfig) -> dict[int, nn.Module]:
    """Layers of the neck and the head, numbered from the neck's start; joins have no weights."""
    fine, middle, coarse = config.widths[-3:]
    (top, joined, d0), (lateral, small, d1), (up, medium, d2), (up2, large, d3) = config.neck
    return {
        0: ConvNorm(coarse, top, 1, 1),
        3: CrossStage(top + middle, joined, d0, shortcut=False),
        4: ConvNorm(joined, lateral, 1, 1),
        7: CrossStage(lateral + fine, small, d1, shortcut=False),
        8: ConvNorm(small, up, 3, 2),
        10: CrossStage(up + lateral, medium, d2, shortcut=False),
        11: ConvNorm(medium, up2, 3, 2),
        13: CrossStage(up2 + top, large, d3, shortcut=False),
        14: Head((small, medium, large)),
    }


class ConvNorm(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, entering: int, leaving: int, side: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(entering, leaving, side, stride, side // 2, bias=False)
        self.bn = nn.BatchNorm2d(leaving, NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class Stem(nn.Module):
    """To a quarter of the size, by convolutions and by pooling side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem_1 = ConvNorm(3, width, 3, 2)
        self.stem_2a = ConvNorm(width, width // 2, 1, 1)
        self.stem_2b = ConvNorm(width // 2, width, 3, 2)
        self.stem_3 = ConvNorm(2 * width, width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_1(x)
        pooled = F.max_pool2d(x, 2, ceil_mode=True)
        return self.stem_3(_joined(self.stem_2b(self.stem_2a(x)), pooled))


class CrossStage(nn.Module):
    """Bottlenecks on one half of the channels, beside the other half (a "C3" layer)."""

    def __init__(self, entering: int, leaving: int, depth: int, *, shortcut: bool = True) -> None:
        super().__init__()
        half = leaving // 2
        self.cv1 = ConvNorm(entering, half, 1, 1)
        self.cv2 = ConvNorm(entering, half, 1, 1)
        self.cv3 = ConvNorm(2 * half, leaving, 1, 1)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=shortcut) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.cv3(_joined(self.m(self.cv1(x)), self.cv2(x)))


class Bottleneck(nn.Module):
    """Two convolutions, beside a shortcut if there is one."""

    def __init__(self, width: int, *, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.cv1 = ConvNorm(width, width, 1, 1)
        self.cv2 = ConvNorm(width, width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.cv2(self.cv1(x))
        return x + hidden if self.shortcut else hidden


class PyramidPooling(nn.Module):
    """What is around every place, at several reaches ("SPP")."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1 = ConvNorm(width, width // 2, 1, 1)
        self.cv2 = ConvNorm(width // 2 * (1 + len(POOLS)), width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        pooled = [F.max_pool2d(x, side, 1, side // 2) for side in POOLS]
        return self.cv2(_joined(x, *pooled))


class ShuffleUnit(nn.Module):
    """A unit of ShuffleNetV2; at stride 2 both branches have weights."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        half = leaving // 2
        self.stride = stride
        self.branch1 = nn.Sequential(
            *((*_depthwise(entering, stride), *_pointwise(entering, half)) if stride == 2 else ())
        )
        self.branch2 = nn.Sequential(
            *_pointwise(entering if stride == 2 else half, half),
            *_depthwise(half, stride),
            *_pointwise(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        joined = _joined(self.branch1(left), self.branch2(right))
        # Channels of both branches take turns: (B, 2, C/2, ...) -> (B, C/2, 2, ...).
        return joined.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


def _pointwise(entering: int, leaving: int) -> tuple[nn.Module, ...]:
    norm = nn.BatchNorm2d(leaving, NORM_EPS)
    return nn.Conv2d(entering, leaving, 1, bias=False), norm, nn.SiLU()


def _depthwise(width: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False)
    return convolution, nn.BatchNorm2d(width, NORM_EPS)


class Head(nn.Module):
    """One convolution for each grid; holds the anchors.

    Attributes:
        anchors: (3, 3, 2) in cells, which nothing here reads.
        anchor_grid: (3, 1, 3, 1, 1, 2) width and height of every grid's anchors in pixels.
    """

    anchors: Tensor
    anchor_grid: Tensor

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        grids = len(widths)
        self.m = nn.ModuleList(nn.Conv2d(width, ANCHORS * VALUES, 1) for width in widths)
        self.register_buffer("anchors", torch.zeros(grids, ANCHORS, 2))
        self.register_buffer("anchor_grid", torch.zeros(grids, 1, ANCHORS, 1, 1, 2))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        outputs = (layer(features) for layer, features in zip(self.m, levels, strict=True))
        # (B, 3 * 16, h, w) -> (B, 3, h, w, 16)
        return [each.unflatten(1, (ANCHORS, VALUES)).movedim(2, -1) for each in outputs]


def _joined(*features: Tensor) -> Tensor:
    return torch.cat(features, 1)


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="nearest")
