"""Identity distance on real faces."""

import json
from pathlib import Path

import pytest
import torch
from skimage import data
from torch.nn import functional

from codeformer_core.errors import SettingError
from codeformer_core.metrics import IdentityNetwork, identity

ASTRONAUT_FACE = (slice(40, 210), slice(138, 308))
"""Roughly where the aligned crop of the astronaut lies."""
DLIB = json.loads(Path(__file__).with_name("dlib_descriptors.json").read_text(encoding="utf-8"))
"""What dlib itself said of two chips, which are plain slices of the photo."""


@pytest.fixture(scope="module")
def network() -> IdentityNetwork:
    return IdentityNetwork()


def astronaut_crop(size: int) -> torch.Tensor:
    face = torch.from_numpy(data.astronaut()[ASTRONAUT_FACE] / 255.0).float()
    planes = face.movedim(-1, 0)[None]
    return (
        functional.interpolate(planes, (size, size), mode="bicubic", antialias=True)
        .clamp(0, 1)
        .movedim(1, -1)
    )


def test_chip_is_the_window_of_the_template():
    """A crop whose colours are its coordinates shows where the chip was cut."""
    ramp = (torch.arange(512.0) + 0.5) / 512
    across, down = ramp.expand(512, 512), ramp[:, None].expand(512, 512)
    crop = torch.stack([across, down, torch.zeros(512, 512)], dim=-1)[None]
    chip = identity.face_chips(crop)[0] * 512
    pitch = identity.CHIP_SIDE / identity.CHIP_SIZE
    assert chip[0, 75, 0] == pytest.approx(identity.CHIP_LEFT + pitch / 2, abs=2)
    assert chip[0, 75, 149] == pytest.approx(
        identity.CHIP_LEFT + identity.CHIP_SIDE - pitch / 2, abs=2
    )
    assert chip[1, 0, 75] == pytest.approx(identity.CHIP_TOP + pitch / 2, abs=2)


def test_the_size_of_a_crop_does_not_change_the_person(network):
    small, large = astronaut_crop(256), astronaut_crop(512)
    assert float(network.distance(small, large)) < 0.1


def test_same_face_is_at_zero_and_another_face_is_far(network):
    face = astronaut_crop(256)
    other = face.flip(1)
    assert float(network.distance(face, face)) == 0
    assert float(network.distance(face, other)) > 0.5


def test_distance_grows_with_blur(network):
    face = astronaut_crop(256)
    planes = face.movedim(-1, 1)
    blurred = [functional.avg_pool2d(planes, size, 1, size // 2).movedim(1, -1) for size in (9, 33)]
    mild, strong = (float(network.distance(face, each)) for each in blurred)
    assert 0 < mild < strong


def test_many_faces_at_once_equal_single_ones(network):
    faces = torch.cat([astronaut_crop(256), astronaut_crop(256).flip(2)])
    together = network.embed(faces)
    assert together.shape == (2, 128)
    assert torch.allclose(together[1:], network.embed(faces[1:]), atol=1e-5)
    assert network.embed(faces[:0]).shape == (0, 128)


def test_unpaired_or_unaligned_faces_are_refused(network):
    with pytest.raises(SettingError, match="paired"):
        network.distance(torch.zeros(1, 8, 8, 3), torch.zeros(2, 8, 8, 3))
    with pytest.raises(SettingError, match="aligned"):
        network.embed(torch.zeros(1, 8, 9, 3))


def test_gradients_lead_a_face_to_another(network):
    """As a training loss: a few steps against the gradient bring the descriptors closer."""
    wanted = network.embed(astronaut_crop(128))
    crop = astronaut_crop(128).flip(2).requires_grad_()
    before = network.embed(crop).sub(wanted).norm()
    (gradient,) = torch.autograd.grad(before, crop)
    closer = (crop - 0.5 * gradient / gradient.norm()).detach()
    assert network.embed(closer).sub(wanted).norm() < before - 0.01
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_descriptors_are_those_of_dlib(network):
    """The weights are dlib's own in float16; in float32 the descriptors agree to 1e-6."""
    face = torch.from_numpy(data.astronaut()[50:200, 150:300]).float().movedim(-1, 0)
    wanted = torch.tensor(DLIB["descriptors"])
    descriptors = network.network(torch.stack([face, face.flip(2)]))
    assert float((descriptors - wanted).norm(dim=1).max()) < 2e-3
    distance = descriptors[0].sub(descriptors[1]).norm()
    assert float(distance) == pytest.approx(float(wanted[0].sub(wanted[1]).norm()), abs=5e-4)
