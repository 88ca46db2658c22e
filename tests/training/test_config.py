"""Settings files: what is read, what is refused by name, and what comes with the package."""

from pathlib import Path

import pytest

from codeformer_core.errors import SettingError
from codeformer_core.training.config import RunConfig
from codeformer_core.training.toml import (
    CONFIGS,
    build,
    find_config,
    load_config,
    parse_value,
    to_toml,
    tomllib,
)

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
blur = [0.5, 4]
[augmentation]
variants = 4
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(COMPLETE)
    return path


def test_tables_become_settings(settings: Path) -> None:
    config = load_config(settings)
    assert config.model.vqgan.level_sizes == (64, 32)
    assert config.model.fusion_sizes == (32, 64)
    assert config.losses.adversarial == 0.1
    assert config.losses.pixel == 1.0
    assert config.strong.blur == (0.5, 4.0)
    assert config.augmentation.variants == 4


def test_settings_can_be_changed_by_name(settings: Path) -> None:
    changes = {"losses.pixel": parse_value("2.5"), "data": parse_value("my faces")}
    config = load_config(settings, changes)
    assert (config.losses.pixel, config.losses.adversarial) == (2.5, 0.1)
    assert config.data == "my faces"
    with pytest.raises(SettingError, match="lossses"):
        load_config(settings, {"lossses.pixel": 1.0})
    with pytest.raises(SettingError, match="no table"):
        load_config(settings, {"data.x": 1})


def test_printed_settings_read_back_the_same(settings: Path) -> None:
    config = load_config(settings)
    assert build(RunConfig, tomllib.loads(to_toml(config)), "printed") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stage = 1\ndata = 'x'\nstpes = 3", "stpes"),
        ("stage = 1", "data"),
        ("stage = 'one'\ndata = 'x'", "stage must be a whole number"),
        ("stage = 4\ndata = 'x'", "1, 2, 3"),
        ("stage = 1\ndata = 'x'\nsteps = true", "steps"),
        ("stage = 1\ndata = 'x'\nsteps = 0", "steps"),
        ("stage = 1\ndata = 'x'\nmild_share = 1.5", "mild_share"),
        ("stage = 1\ndata = 'x'\nprecision = 'fp16'", "precision"),
        ("stage = 1\ndata = 'x'\nbatch_size = 3\ngradient_accumulation_steps = 2", "micro-batches"),
        ("stage = 1\ndata = 'x'\naccumulate = 2", "gradient_accumulation_steps"),
        ("stage = 1\ndata = 'x'\nclip = 2.0", "max_grad_norm"),
        ("stage = 2\ndata = 'x'\ndegrade_on_device = true", "no more"),
        ("stage = 2\ndata = 'x'\nmild_share = 0.8\nclean_share = 0.4", "together"),
        ("stage = 2\ndata = 'x'\n[losses]\ncommitment = 1.0", "code_feature"),
        ("stage = 1\ndata = 'x'\nbetas = 0.9", "betas must be a list"),
        ("stage = 1\ndata = 'x'\nbetas = [0.9]", "2 values"),
        ("stage = 1\ndata = 'x'\n[strong]\nblur = [3.0, 'x']", "blur must be a number"),
        ("stage = 1\ndata = 'x'\n[strong]\nblur = [3.0, 1.0]", "low, high"),
        ("stage = 1\ndata = 'x'\n[losses]\npixle = 1.0", "pixle"),
        ("stage = 1\ndata = 'x'\n[losses]\npixel = -1.0", "pixel"),
        ("stage = 1\ndata = 'x'\n[model.vqgan]\nchannels = 33", "multiples"),
        ("stage = 1\ndata = 'x'\n[model.vqgan]\nimage_size = 0", "must be positive"),
        ("stage = 1\ndata = 'x'\n[model.vqgan]\nmultipliers = [1, -1]", "must be positive"),
        ("stage = 1\ndata = 'x'\n[model]\nheads = 0", "must be positive"),
        ("stage = 1\ndata = 'x'\n[model]\nlayers = -1", "must be positive"),
        ("stage = 1\ndata = 'x'\nlosses = 3", "losses"),
        ("stage = ", "TOML"),
        ("stage = 1\ndata = 'x'\nlearning_rate = nan", "finite"),
        ("stage = 1\ndata = 'x'\n[losses]\npixel = inf", "finite"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message) as caught:
        load_config(path)
    assert "run.toml" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"absent\.toml"):
        load_config(tmp_path / "absent.toml")


SHIPPED = sorted(CONFIGS.glob("*/stage?.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_settings_that_come_with_the_package_hold(path: Path) -> None:
    config = load_config(path)
    assert f"stage{config.stage}" == path.stem
    assert find_config(config.stage, path.parent.name) == path
    variant = config.model.variant
    assert variant == "restoration" or variant in path.parent.name


def test_stages_of_a_family_fit_together() -> None:
    assert len(SHIPPED) >= 9
    for family in {path.parent for path in SHIPPED}:
        models = [load_config(path).model for path in sorted(family.glob("*.toml"))]
        assert all(model.vqgan == models[0].vqgan for model in models)
        assert all(model == models[-1] for model in models[-2:])


def test_unknown_family_names_the_choices() -> None:
    with pytest.raises(SettingError, match="official_512"):
        find_config(1, "nothing")
