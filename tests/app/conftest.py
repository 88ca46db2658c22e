"""Files to give to the page."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from codeformer_core.app.service import Service
from codeformer_core.faces import YuNetDetector
from codeformer_core.models import load_upscaler
from codeformer_core.networks import CodeFormer

WriteClip = Callable[[Path, Tensor, int], None]


@pytest.fixture(scope="session")
def two_faces(astronaut: Tensor) -> Tensor:
    return torch.cat([astronaut[:256, 96:352], astronaut[:256, 96:352].flip(1)], 1)


@pytest.fixture
def service(tiny_codeformer: CodeFormer) -> Service:
    return Service(tiny_codeformer, YuNetDetector(), load_upscaler())


@pytest.fixture
def write_clip() -> WriteClip:
    """Write the same (H, W, 3) a few times."""
    av = pytest.importorskip("av")

    def write(path: Path, picture: Tensor, frames: int) -> None:
        with av.open(str(path), "w") as file:
            stream = file.add_stream("libx264", rate=10)
            stream.height, stream.width = picture.shape[:2]
            stream.pix_fmt = "yuv420p"
            pixels = (picture * 255).byte().numpy()
            for _ in range(frames):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            file.mux(stream.encode())

    return write
