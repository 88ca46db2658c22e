"""The helpers of other packs that crop and paste, built without their downloads."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from codeformer_core.faces import Faces

SKIN, BACKGROUND = 1, 0
CLASSES = 19


class Peer:
    """A helper in a process of its own, so that memory it uses and frees is not our concern."""

    def __init__(self, build: Callable[[], Any]) -> None:
        """Start the process, and wait until the helper is built there."""
        self._pool = multiprocessing.get_context("spawn").Pool(1)
        self._pool.apply(_build, (build,))

    def give(self, *task: Any) -> None:
        """Tell it what `paste` takes after the helper."""
        self._pool.apply(_give, task)

    def paste(self) -> None:
        """Paste, and keep the result there."""
        self._pool.apply(_paste)

    def result(self) -> NDArray[Any]:
        """Return what was pasted last."""
        return self._pool.apply(_result)


_there: dict[str, Any] = {}
"""What the process of a peer holds."""


def _build(build: Callable[[], Any]) -> None:
    _there["helper"] = build()


def _give(*task: Any) -> None:
    _there["task"] = task


def _paste() -> None:
    _there["result"] = paste(_there["helper"], *_there["task"])


def _result() -> NDArray[Any]:
    return _there["result"]


def facexlib_helper() -> Any:
    """Return the FaceRestoreHelper of facexlib."""
    from facexlib.utils.face_restoration_helper import FaceRestoreHelper

    return _without_downloads(FaceRestoreHelper)


def facerestore_cf_helper(folder: Path) -> Any:
    """Return that of the pack facerestore_cf, which imports the host: stand-ins take its place."""
    management = SimpleNamespace(get_torch_device=lambda: torch.device("cpu"))
    host = ModuleType("comfy")
    host.__dict__.update(model_management=management)
    sys.modules["comfy"] = host
    sys.modules["folder_paths"] = ModuleType("folder_paths")
    sys.path.insert(0, str(folder))
    module = importlib.import_module("facelib.utils.face_restoration_helper")
    return _without_downloads(module.FaceRestoreHelper)


def _without_downloads(kind: Any) -> Any:
    """Make a helper as its constructor does at factor 1, but with a stand-in for the parser."""
    helper = kind.__new__(kind)
    helper.upscale_factor = 1
    helper.face_size = (512, 512)
    helper.device = torch.device("cpu")
    helper.use_parse = True
    helper.face_parse = OvalParser()
    helper.clean_all()
    return helper


def paste(helper: Any, picture: NDArray[Any], crops: NDArray[Any], faces: Faces) -> NDArray[Any]:
    """Paste with a helper.

    Args:
        helper: one of the above.
        picture: (H, W, 3) uint8.
        crops: (N, 512, 512, 3) uint8.
        faces: where they belong.

    Returns:
        (H, W, 3) uint8.
    """
    helper.clean_all()
    helper.read_image(picture)
    helper.affine_matrices = [np.array(face.placement.matrix) for face in faces]
    helper.restored_faces = list(crops)
    helper.get_inverse_affine(None)
    return helper.paste_faces_to_input_image()


class OvalParser(torch.nn.Module):
    """Stands in for a parsing network, at no cost: calls an oval in the middle skin."""

    def __init__(self) -> None:
        super().__init__()
        self.oval = oval()

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor]:
        scores = torch.zeros(len(crops), CLASSES, *self.oval.shape)
        scores[:, SKIN] = self.oval
        scores[:, BACKGROUND] = 1 - self.oval
        return (scores,)


def oval() -> torch.Tensor:
    """(512, 512), 1 inside: well within what all helpers' square masks leave whole."""
    line = torch.arange(512) - 255.5
    return ((line.view(1, -1) / 130) ** 2 + (line.view(-1, 1) / 150) ** 2 < 1).float()
