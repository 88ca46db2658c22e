"""Settings files: what is read, and what is refused by name."""

from pathlib import Path

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.training.config import load_config

COMPLETE = """
stage = 3
data = "faces"
autoencoder = "one.safetensors"
learning_rate = 5e-5
mild_share = 0.5
[model]
width = 256
fusion_sizes = [32, 64]
[model.vqgan]
image_size = 128
channels = 32
multipliers = [2, 3]
patch = 2
[losses]
adversarial = 0.1
[strong]
blur = [0.5, 4.0]
"""


def test_tables_become_settings(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(COMPLETE)
    config = load_config(path)
    assert config.model.vqgan.level_sizes == (64, 32)
    assert config.model.fusion_sizes == (32, 64)
    assert config.losses.adversarial == 0.1
    assert config.losses.pixel == 1.0
    assert config.strong.blur == (0.5, 4.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = 1\ndata = 'x'\nstpes = 3", "stpes"),
        ("stage = 1", "data"),
        ("stage = 'one'\ndata = 'x'", "stage"),
        ("stage = 1\ndata = 'x'\n[losses]\npixle = 1.0", "pixle"),
        ("stage = 1\ndata = 'x'\n[model.vqgan]\nchannels = 33", "multiples"),
        ("stage = 1\ndata = 'x'\nlosses = 3", "losses"),
        ("stage = ", "TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message):
        load_config(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")
