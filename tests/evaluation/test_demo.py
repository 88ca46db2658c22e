"""The demonstration measures what it says."""

import pytest
import torch
from torch import nn

from codeformer_core.degradation import Degradation
from codeformer_core.errors import PictureError
from codeformer_core.evaluation.demo import demo_photo, run_demo
from codeformer_core.models import load_detector


class Echo(nn.Module):
    """Returns every face as it came."""

    size = 256
    variant = "restoration"
    bytes_per_face = 1e6
    notice = None

    def forward(self, crops, fidelity=0.5, adain=None):
        return crops


@pytest.fixture(scope="module")
def detector():
    return load_detector("yunet")


@pytest.fixture(scope="module")
def demo(detector):
    return run_demo(Echo(), detector)


def test_photo_is_the_astronaut(astronaut):
    assert torch.equal(demo_photo(), astronaut)


def test_without_degradation_and_restoration_nothing_is_lost(detector):
    demo = run_demo(Echo(), detector, degradation=Degradation())
    assert demo.before.psnr == float("inf")
    assert demo.before.identity == 0
    assert demo.after.psnr > 38  # only what going through a crop costs
    assert demo.after.identity < 0.1


def test_degradation_is_measured_and_shown(demo):
    assert 15 < demo.before.psnr < 35
    assert demo.before.identity > 0.1
    assert float((demo.degraded - demo.clean).abs().mean()) > 0.01
    assert demo.result.faces.count == 1
    assert demo.sheet.shape[0] > 2 * 512
    assert demo.sheet.shape[1] > 3 * 512


def test_the_demo_is_the_same_every_time(demo, detector):
    again = run_demo(Echo(), detector)
    assert torch.equal(again.degraded, demo.degraded)
    assert again.after == demo.after


def test_photo_without_a_face_is_an_error(detector):
    with pytest.raises(PictureError, match="no face"):
        run_demo(Echo(), detector, photo=torch.zeros(64, 64, 3))
