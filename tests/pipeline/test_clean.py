"""Faces that a model would make worse are told from those it helps."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from codeformer_core.degradation import Degradation, degrade
from codeformer_core.faces import TEMPLATE, Box, Face, Faces, Landmarks, place
from codeformer_core.images import resize
from codeformer_core.models import load_codeformer
from codeformer_core.pipeline import restore_image
from codeformer_core.pipeline.clean import clean_faces, noise_level


@pytest.fixture(scope="module")
def portrait(astronaut: Tensor) -> Tensor:
    """Her face at 160 px: a little more than the crops of `HalfSize`."""
    return resize(astronaut[None, 20:240, 110:330], 160, 160)[0]


class HalfSize(nn.Module):
    """The built-in model with half its resolution, for which a 160 px face is a large one."""

    size, variant, notice, bytes_per_face = 128, "restoration", None, 1e7
    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.whole = load_codeformer("builtin")

    def forward(self, crops: Tensor, fidelity=0.5, adain=None) -> Tensor:
        large = functional.interpolate(crops, scale_factor=2, mode="bicubic")
        return functional.avg_pool2d(self.whole(large, fidelity, adain), 2)


def _whole(side: int) -> Faces:
    """One face whose aligned square is the whole picture."""
    points = [(x * side / 512, y * side / 512) for x, y in TEMPLATE.points]
    landmarks = Landmarks(*points)
    face = Face(Box(0, 0, side, side), 0.99, landmarks, place(landmarks, 512, side, side))
    return Faces(((face,),), side, side)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 6.0])
def test_noise_is_measured_beside_edges(sigma):
    generator = torch.Generator().manual_seed(1)
    edges = torch.zeros(1, 128, 128)
    edges[:, ::16] = 0.8
    noisy = edges + torch.randn(1, 128, 128, generator=generator) * sigma / 255
    assert float(noise_level(noisy)) * 255 == pytest.approx(sigma, rel=0.25)


def test_a_clean_face_sharper_than_the_result_is_told_from_a_softer_one(portrait):
    blurred = degrade(portrait, Degradation(blur_x=2.0), 1)
    assert clean_faces(portrait[None], blurred[None], [160]).tolist() == [True]
    assert clean_faces(blurred[None], portrait[None], [160]).tolist() == [False]


def test_a_small_face_is_judged_in_its_own_size(portrait):
    """Enlarged to the crops of a larger model it has no grain left."""
    small = resize(portrait[None], 96, 96)
    enlarged = resize(small, 256, 256)
    softer = resize(degrade(small, Degradation(blur_x=2.0), 1), 256, 256)
    assert clean_faces(enlarged, softer, [96]).tolist() == [True]
    assert clean_faces(enlarged, softer, [256]).tolist() == [False]


def test_enlarged_a_face_is_compared_in_the_size_of_the_result(portrait):
    """A model may show more than there was; what it only softens stays clean at every factor."""
    small = resize(portrait[None], 64, 64)
    given = resize(small, 160, 160)
    finer = degrade(portrait[None], Degradation(blur_x=0.8), 1)
    assert clean_faces(given, finer, [64]).tolist() == [True]
    assert clean_faces(given, finer, [64], 2.5).tolist() == [False]
    softer = resize(degrade(small, Degradation(blur_x=2.0), 1), 160, 160)
    assert clean_faces(given, softer, [64], 2.5).tolist() == [True]


@pytest.mark.parametrize(
    "damage",
    [
        Degradation(blur_x=3.0),
        Degradation(gaussian_noise=12.0),
        Degradation(blur_x=1.5, downsample=2.0, gaussian_noise=5.0, jpeg_quality=40),
    ],
)
def test_only_a_damaged_face_is_restored(portrait, damage):
    network, faces = HalfSize(), _whole(160)
    clean = restore_image(portrait, network, faces=faces, leave_clean=True)
    assert torch.equal(clean.image, portrait)
    assert clean.mask.max() == 0
    assert any("face 1 of 1" in note for note in clean.warnings)
    enlarged = restore_image(portrait, network, faces=faces, leave_clean=True, upscale=2.0)
    assert enlarged.restored == 0
    damaged = restore_image(degrade(portrait, damage, 3), network, faces=faces, leave_clean=True)
    assert damaged.mask.max() == 1
    everything = restore_image(portrait, network, faces=faces)
    assert everything.mask.max() == 1
