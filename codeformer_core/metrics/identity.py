"""Whether two faces are the same person, by dlib's face recognition network (CC0 weights)."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import MissingModelError, SettingError
from ..images import to_uint8

MODEL_PACKAGE = "face_recognition_models"
MODEL_FILE = "dlib_face_recognition_resnet_model_v1.dat"
INSTALL_HINT = "install it with: pip install dlib-bin face_recognition_models"

CHIP_SIZE = 150
"""Side of the pictures the network reads."""
CHIP_LEFT, CHIP_TOP, CHIP_SIDE = 81.0, 130.4, 358.3
"""Where dlib's own face chip lies in the 512-pixel crop of the five-point template: the
similarity between dlib's five reference points and their mean places on aligned faces. One fixed
window, so that a blurred face is compared at the very place of the sharp one."""
TEMPLATE_SIZE = 512


class IdentityNetwork:
    """Face descriptors whose Euclidean distance tells people apart.

    Around 0.2 to 0.4 for pictures of one person, 0.6 and more for two. The weights are read from
    the installed package `face_recognition_models`, which is located but never imported (it needs
    `pkg_resources`).

    Raises:
        MissingModelError: dlib or its weights are not installed.
    """

    def __init__(self) -> None:
        """Load the network (about 22 MB)."""
        try:
            import dlib
        except ImportError as error:
            raise MissingModelError(f"identity distance needs dlib: {INSTALL_HINT}") from error
        self._network: Any = dlib.face_recognition_model_v1(str(_model_file()))  # pyright: ignore

    def embed(self, crops: Tensor) -> Tensor:
        """Describe aligned faces.

        Args:
            crops: (N, S, S, 3) RGB in 0..1, aligned to the five-point template, any S.

        Returns:
            (N, 128) float32 on the CPU.

        Raises:
            SettingError: crops of another shape.
        """
        if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
            raise SettingError(f"expected aligned crops (N, S, S, 3), got {tuple(crops.shape)}")
        if not len(crops):
            return torch.zeros(0, 128)
        descriptors = self._network.compute_face_descriptor(list(face_chips(crops)))
        return torch.from_numpy(np.array([np.array(each) for each in descriptors], np.float32))

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


def face_chips(crops: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Cut dlib's face chips out of aligned crops.

    Args:
        crops: (N, S, S, 3) RGB in 0..1, N at least 1.

    Returns:
        (N, 150, 150, 3) uint8.
    """
    planes = crops.detach().float().cpu().movedim(-1, 1)
    side = planes.shape[2] * CHIP_SIDE / TEMPLATE_SIZE
    if side > CHIP_SIZE:  # sampling alone would alias
        size = round(planes.shape[2] * CHIP_SIZE / side)
        planes = functional.interpolate(planes, (size, size), mode="bicubic", antialias=True)
    # The window in grid_sample's units, where the crop's edges are -1 and 1.
    scale = CHIP_SIDE / TEMPLATE_SIZE
    left, top = (2 * edge / TEMPLATE_SIZE - 1 + scale for edge in (CHIP_LEFT, CHIP_TOP))
    window = torch.tensor([[[scale, 0.0, left], [0.0, scale, top]]]).expand(len(planes), -1, -1)
    grid = functional.affine_grid(
        window, [len(planes), 3, CHIP_SIZE, CHIP_SIZE], align_corners=False
    )
    chips = functional.grid_sample(planes, grid, mode="bicubic", align_corners=False)
    return to_uint8(chips.movedim(1, -1).contiguous())


def _model_file() -> Path:
    spec = find_spec(MODEL_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "models" / MODEL_FILE
        if file.is_file():
            return file
    raise MissingModelError(f"identity distance needs {MODEL_FILE}: {INSTALL_HINT}")
