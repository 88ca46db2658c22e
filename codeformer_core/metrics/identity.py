"""Whether two faces are the same person, by dlib's face recognition network (CC0 weights)."""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from ..checkpoints.reader import read_state
from ..errors import SettingError
from ..images.constants import constant
from ..networks.identity import CHIP_SIZE, DESCRIPTOR_LENGTH, IdentityResNet

WEIGHTS = Path(__file__).parents[1] / "weights" / "identity.safetensors"
"""In float16, which changes no distance of two faces by more than 0.0004."""
BYTES_PER_CHIP = 5e6
"""Activations of one face."""
BYTES_PER_PIXEL = 12
"""Of a crop in float32."""

CHIP_LEFT, CHIP_TOP, CHIP_SIDE = 81.0, 130.4, 358.3
"""Where dlib's own face chip lies in the 512-pixel crop of the five-point template: the
similarity between dlib's five reference points and their mean places on aligned faces. One fixed
window, so that a blurred face is compared at the very place of the sharp one."""
TEMPLATE_SIZE = 512


class IdentityNetwork(nn.Module):
    """Face descriptors whose Euclidean distance tells people apart.

    Around 0.2 to 0.4 for pictures of one person, 0.6 and more for two. It computes in float32: the
    descriptors of float32 weights are dlib's own to 1e-6.
    """

    def __init__(self) -> None:
        """Load the network that comes with the package."""
        super().__init__()
        self.network = IdentityResNet()
        state, _ = read_state(WEIGHTS)
        self.network.load_state_dict(state)  # copied, which makes them float32
        self.requires_grad_(False).eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Describe aligned faces; see `embed`."""
        return self.network(255.0 * face_chips(crops))

    def embed(self, crops: Tensor) -> Tensor:
        """Describe aligned faces, all at once; gradients reach the crops.

        Args:
            crops: (N, S, S, 3) RGB in 0..1, aligned to the five-point template, any S.

        Returns:
            (N, 128) float32 on the network's device.

        Raises:
            SettingError: crops of another shape.
        """
        if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
            raise SettingError(f"expected aligned crops (N, S, S, 3), got {tuple(crops.shape)}")
        if not len(crops):  # nothing that could be resampled
            return self.network.descriptor.weight.new_zeros(0, DESCRIPTOR_LENGTH)
        return self(crops.to(self.network.descriptor.weight))

    def bytes_per_pair(self, height: int, width: int) -> float:
        """Memory that the activations of a pair of crops take."""
        return 2 * (BYTES_PER_CHIP + BYTES_PER_PIXEL * height * width)

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Identity distance of pairs of aligned faces, which may differ in size.

        Args:
            first: (N, S, S, 3) RGB in 0..1.
            second: (N, T, T, 3) RGB in 0..1.

        Returns:
            (N,) float32, 0 for equal pictures.

        Raises:
            SettingError: crops of another shape, or not as many on both sides.
        """
        if len(first) != len(second):
            raise SettingError(f"{len(first)} faces cannot be paired with {len(second)}")
        return (self.embed(first) - self.embed(second)).norm(dim=1)


def face_chips(crops: Tensor) -> Tensor:
    """Cut dlib's face chips out of aligned crops.

    Args:
        crops: (N, S, S, 3) RGB in 0..1.

    Returns:
        (N, 3, 150, 150) in 0..1.
    """
    planes = crops.movedim(-1, 1)  # (N, S, S, 3) -> (N, 3, S, S)
    side = planes.shape[2] * CHIP_SIDE / TEMPLATE_SIZE
    if side > CHIP_SIZE:  # sampling alone would alias
        size = round(planes.shape[2] * CHIP_SIZE / side)
        planes = functional.interpolate(planes, (size, size), mode="bicubic", antialias=True)
    # The window in grid_sample's units, where the crop's edges are -1 and 1.
    scale = CHIP_SIDE / TEMPLATE_SIZE
    left, top = (2 * edge / TEMPLATE_SIZE - 1 + scale for edge in (CHIP_LEFT, CHIP_TOP))
    window = constant(((scale, 0.0, left), (0.0, scale, top)), planes.device)
    window = window.to(planes.dtype).expand(len(planes), 2, 3)
    grid = functional.affine_grid(
        window, [len(planes), 3, CHIP_SIZE, CHIP_SIZE], align_corners=False
    )
    return functional.grid_sample(planes, grid, mode="bicubic", align_corners=False).clamp(0, 1)
