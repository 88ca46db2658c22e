"""A folder of face crops and settings of runs that take a second."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.networks import VQGAN, CodeFormerConfig
from codeformer_core.training.config import LossWeights, RunConfig


@pytest.fixture
def face_folder(tmp_path: Path, astronaut: Tensor) -> Path:
    """Eight crops of the astronaut's face at slightly different places, 80 px."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for index in range(8):
        top, left = 60 + 4 * (index % 4), 170 + 6 * (index // 4)
        crop = (astronaut[top : top + 80, left : left + 80] * 255).to(torch.uint8)
        Image.fromarray(crop.numpy()).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def run_config(face_folder: Path, tiny_config: CodeFormerConfig) -> Callable[..., RunConfig]:
    """Settings of a short float32 run at 32 px; keyword arguments change them."""
    vqgan = replace(tiny_config.vqgan, image_size=32, attention_sizes=(8,))
    base = RunConfig(
        stage=1,
        data=str(face_folder),
        model=replace(tiny_config, vqgan=vqgan, fusion_sizes=(8, 16)),
        steps=6,
        batch_size=2,
        learning_rate=1e-3,
        warm_up=1,
        quantize_after=2,
        adversarial_after=4,
        losses=LossWeights(perceptual=0.0),
        discriminator_channels=32,
        precision="fp32",
        device="cpu",
        log_every=1,
        save_every=100,
    )
    return lambda **changes: replace(base, **changes)


@pytest.fixture
def autoencoder(tmp_path: Path, run_config: Callable[..., RunConfig]) -> str:
    """Weights of an untrained stage I network."""
    torch.manual_seed(1)
    return str(save_network(tmp_path / "one.safetensors", VQGAN(run_config().model.vqgan)))
