"""The network that describes faces so that people can be told apart.

King 2017, dlib's "dlib_face_recognition_resnet_model_v1": a residual network (He et al., "Deep
Residual Learning for Image Recognition", 2016) of 29 convolutions, trained with a metric loss.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ..images.constants import constant

CHIP_SIZE = 150
"""Side in pixels of the faces the network reads."""
DESCRIPTOR_LENGTH = 128
STEM_CHANNELS = 32
BLOCKS = (
    *((32, 1), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((128, 2), (128, 1), (128, 1)),
    *((256, 2), (256, 1), (256, 1), (256, 2)),
)
"""Channels and stride of each residual block."""
MEAN = (122.782, 117.001, 104.298)
"""RGB of the mean training picture, of 255."""


class IdentityResNet(nn.Module):
    """Describes face chips: (B, 3, 150, 150) RGB in 0..255 -> (B, 128).

    Euclidean distances of descriptors tell people apart: the same person under 0.6. dlib's affine
    layers, which stand in for its batch norms, are part of the convolutions here.
    """

    def __init__(self, operations: Any = nn) -> None:
        super().__init__()
        self.stem = operations.Conv2d(3, STEM_CHANNELS, 7, stride=2)
        widths = [STEM_CHANNELS, *(channels for channels, _ in BLOCKS)]
        self.blocks = nn.Sequential(
            *(
                _Block(entering, leaving, stride, operations)
                for entering, (leaving, stride) in zip(widths, BLOCKS, strict=False)
            )
        )
        self.descriptor = operations.Linear(widths[-1], DESCRIPTOR_LENGTH, bias=False)

    def forward(self, chips: Tensor) -> Tensor:
        mean = constant(MEAN, chips.device).to(chips.dtype).view(1, 3, 1, 1)
        features = F.max_pool2d(F.relu(self.stem((chips - mean) / 256)), 3, stride=2)
        return self.descriptor(self.blocks(features).mean((2, 3)))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which has no weights where the block shrinks."""

    def __init__(self, entering: int, leaving: int, stride: int, operations: Any) -> None:
        super().__init__()
        self.stride = stride
        padding = 1 if stride == 1 else 0
        self.conv1 = operations.Conv2d(entering, leaving, 3, stride=stride, padding=padding)
        self.conv2 = operations.Conv2d(leaving, leaving, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv2(F.relu(self.conv1(x)))
        if self.stride == 1:
            return F.relu(hidden + x)
        # The smaller of the two gets zeros: at the right, at the bottom, as further channels.
        shortcut = F.avg_pool2d(x, 2)
        shape = [max(sides) for sides in zip(hidden.shape[1:], shortcut.shape[1:], strict=True)]
        return F.relu(_padded(hidden, shape) + _padded(shortcut, shape))


def _padded(x: Tensor, shape: list[int]) -> Tensor:
    """(B, c, h, w) with zeros at the ends up to (B, C, H, W)."""
    pads = [(0, wanted - there) for wanted, there in zip(shape, x.shape[1:], strict=True)]
    return F.pad(x, [pad for pair in reversed(pads) for pad in pair])
