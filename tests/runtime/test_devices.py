"""Devices that are not there are said in one line with those that are."""

import pytest
import torch

from codeformer_core.errors import SettingError
from codeformer_core.runtime import best_device, check_device

GONE = [
    "cuda:99", "xpu:7", "directml", "privateuseone", "vulkan", "hpu", "opengl", "meta", "gpu",
    "nonsense", "", "cuda:", torch.device("xpu:9"),
]  # fmt: skip
"""Each makes PyTorch raise an error of another kind, some of them sixty lines long."""


@pytest.mark.parametrize("name", GONE)
def test_a_device_that_is_not_here_is_one_line_with_those_that_are(name):
    with pytest.raises(SettingError) as error:
        check_device(name)
    message = str(error.value)
    assert message.startswith(f"there is no device {str(name)!r} here, only: auto, ")
    assert message.endswith("cpu")
    assert len(message) < 120
    assert "\n" not in message


def test_the_processor_is_always_here():
    assert check_device("cpu").type == "cpu"
    assert check_device("auto") == best_device()
