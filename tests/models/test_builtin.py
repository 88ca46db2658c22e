"""The models that come with the package: whole, and good for what they are said to be."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from codeformer_core import load_codeformer
from codeformer_core.degradation import STAGE_TWO
from codeformer_core.evaluation.evaluate import degrade_faces
from codeformer_core.images import from_network, resize, to_network
from codeformer_core.metrics import psnr
from codeformer_core.models import BUILTIN_FOLDER, load_vqgan


@pytest.fixture
def face(astronaut: Tensor) -> Tensor:
    """Her face, cut out as crops are: (1, 256, 256, 3)."""
    return resize(astronaut[None, 0:220, 110:330], 256, 256).clamp(0, 1)


def restored(model: str, face: Tensor, fidelity: float) -> Tensor:
    return from_network(load_codeformer(model)(to_network(face), fidelity)).clamp(0, 1)


def test_a_clean_face_comes_back_clean(face: Tensor) -> None:
    small = resize(resize(face, 96, 96), 256, 256)
    for fidelity, least in ((0.5, 29.0), (1.0, 30.0)):
        assert float(psnr(restored("builtin", small, fidelity), small)) > least


def test_the_mean_of_all_codes_is_closer_than_the_likeliest(face: Tensor) -> None:
    faces = face.expand(6, -1, -1, -1)
    degraded = degrade_faces(faces, STAGE_TWO, 0, 0)
    for name in ("builtin", "builtin_colorization"):
        network = load_codeformer(name)
        assert network.config.code_temperature == 0.5
        drawn = from_network(network(to_network(degraded), 0.0)).clamp(0, 1)
        network.config = replace(network.config, code_temperature=0.0)
        likeliest = from_network(network(to_network(degraded), 0.0)).clamp(0, 1)
        assert float((psnr(drawn, faces) - psnr(likeliest, faces)).mean()) > 0.1


@pytest.mark.parametrize("fidelity", [0.0, 0.5, 1.0])
def test_colours_do_not_alternate_from_pixel_to_pixel(face: Tensor, fidelity: float) -> None:
    small = resize(resize(face, 96, 96), 256, 256)
    planes = restored("builtin", small, fidelity).movedim(-1, 1)
    colours = planes - planes.mean(1, keepdim=True)
    patches = functional.pixel_unshuffle(colours, 2).unflatten(1, (3, 4))
    assert float((patches - patches.mean(2, keepdim=True)).abs().mean()) < 0.25 / 255


def test_stage_one_draws_her_through_the_same_codebook(face: Tensor) -> None:
    path = BUILTIN_FOLDER / "builtin_stage1.safetensors"
    network = load_vqgan(path, dtype=torch.float32)
    drawn = from_network(network(to_network(face))).clamp(0, 1)
    assert float(psnr(drawn, face)) > 22.0
    prior = load_codeformer("builtin").quantize.embedding.weight
    assert torch.equal(network.quantize.embedding.weight, prior)


def test_a_gray_face_gets_its_colours(face: Tensor) -> None:
    gray = face.mean(3, keepdim=True).expand_as(face)
    coloured = restored("builtin_colorization", gray, 0.5)
    assert float(psnr(coloured, face)) > float(psnr(gray, face))
    skin = coloured[0, 150:180, 80:170].mean((0, 1))
    assert skin[0] > skin[1] > skin[2]
