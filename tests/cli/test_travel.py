"""Training travels: packed, run where nothing of ours is installed but a few packages, and back."""

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from codeformer_core.checkpoints import save_network
from codeformer_core.cli import main
from codeformer_core.errors import MissingModelError
from codeformer_core.metrics import BACKBONES
from codeformer_core.networks import VQGAN, CodeFormer, CodeFormerConfig, VQGANConfig

ROOT = Path(__file__).parents[2]
ALLOWED = (
    *("torch", "opencv-python", "opencv-python-headless", "safetensors", "accelerate"),
    *("tensorboard", "tifffile", "scikit-image"),
)
"""All that the other machine has, besides what these need."""
SETTINGS = """
stage = {stage}
data = "faces"
batch_size = 2
precision = "fp32"
device = "cpu"
discriminator_channels = 32
hold_out = 0.2
workers = 1
adversarial_share = 0.5
clean_share = 0.1
[model]
width = 32
layers = 1
fusion_sizes = [8, 16]
[model.vqgan]
image_size = 32
channels = 32
multipliers = [1, 1]
blocks = 1
attention_sizes = []
codebook_size = 32
code_channels = 32
patch = 2
narrow_norm_groups = 8
[losses]
perceptual = 0.5
components = 0.5
colour = 1.0
identity = 0.5
[augmentation]
eyelids = 0.2
mouth = 0.2
occluder = 0.2
melt = 0.1
variants = 2
"""
GUARD = """
import sys
from importlib.machinery import PathFinder
REFUSED = set({refused!r})
class WithoutThem(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in REFUSED:
            return super().find_spec(name, path, target)
sys.meta_path = [WithoutThem if each is PathFinder else each for each in sys.meta_path]
"""


def needed_by(names: tuple[str, ...]) -> set[str]:
    """Distributions that some distributions need, themselves included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [
            re.match(r"[\w.-]+", each)[0] for each in requirements if "extra ==" not in each
        ]
    return found


def refused_modules() -> list[str]:
    """Modules of packages that are installed here and not there."""
    allowed = needed_by(ALLOWED)
    return sorted(
        module
        for module, packages in metadata.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", each).lower() for each in packages} & allowed
        and module not in ("codeformer_core", "sitecustomize")
    )


@pytest.fixture
def configs(tmp_path: Path) -> str:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for stage in (1, 2, 3):
        (folder / f"stage{stage}.toml").write_text(SETTINGS.format(stage=stage))
    return str(folder)


@pytest.fixture
def faces(tmp_path: Path, astronaut: Tensor) -> str:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(12):
        crop = astronaut[60:124, 170 + 2 * number : 234 + 2 * number]
        Image.fromarray((crop * 255).to(torch.uint8).numpy()).save(folder / f"{number}.png")
    return str(folder)


@pytest.fixture
def packed(tmp_path: Path, faces: str, configs: str) -> Path:
    """Faces, faces to evaluate on, backbones, and weights to start from."""
    for backbone in BACKBONES.values():
        try:
            backbone.find()
        except MissingModelError as error:
            pytest.skip(str(error))
    torch.manual_seed(0)
    vqgan = VQGANConfig(32, 32, (1, 1), 1, (), 32, 32, 2, 8)
    start = save_network(tmp_path / "start.safetensors", VQGAN(vqgan))
    small = CodeFormerConfig(vqgan, width=32, layers=1, fusion_sizes=(8,))
    smaller = save_network(tmp_path / "smaller.safetensors", CodeFormer(small))
    packed = tmp_path / "packed"
    command = ["pack", "--out", str(packed), "--faces", faces, "--size", "32", "--backbones"]
    command += ["--evaluation", faces, "--evaluation-faces", "4", "--config", configs]
    assert main([*command, "--start", str(start), "--grow", str(smaller)]) == 0
    return packed


def test_recipe_runs_where_nothing_else_is_installed(
    tmp_path: Path, packed: Path, configs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = refused_modules()
    assert {"facexlib", "torchvision"} & set(refused)
    guard = tmp_path / "guard"
    guard.mkdir()
    network = (ROOT / "tests" / "guard" / "sitecustomize.py").read_text()
    (guard / "sitecustomize.py").write_text(network + GUARD.format(refused=refused))
    (guard / "codeformer_core").symlink_to(ROOT / "codeformer_core")
    command = [sys.executable, "-m", "codeformer_core", "train", "all", configs]
    command += ["--data", str(packed), "--out", str(tmp_path / "run"), "--minutes", "0.5"]
    command += ["--device", "cpu", "--parcels", str(tmp_path / "parcels")]
    environment = {**os.environ, "PYTHONPATH": str(guard), "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "is left out" not in done.stderr
    numbers = json.loads((tmp_path / "run" / "evaluation" / "evaluation.json").read_text())
    assert {"PSNR", "perceptual", "identity"} <= set(numbers["rows"]["w = 1"])
    assert (tmp_path / "parcels" / "sheet.jpg").is_file()
    assert (tmp_path / "run" / "stage3" / "samples.jpg").is_file()
    parts = sorted((tmp_path / "parcels").glob("run.*"))
    assert all(part.stat().st_size <= 16 << 20 for part in parts)
    assert len(list((tmp_path / "parcels").iterdir())) <= 8
    back = tmp_path / "back"
    assert main(["unpack", str(tmp_path / "parcels"), "--out", str(back)]) == 0
    assert not (back / "stage2").exists()  # stage III has gone on from it
    for stage in (1, 3):
        step = json.loads((back / f"stage{stage}" / "run.json").read_text())["step"]
        assert step > 0
    capsys.readouterr()


def test_recipe_wants_its_minutes(configs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "all", configs]) == 1
    assert "--minutes" in capsys.readouterr().err


def test_settings_of_all_stages_are_printed(
    configs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "all", configs, "--print", "--shares", "3", "0", "1"]) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith(("stage", "time_share"))] == [
        *("stage = 1", "time_share = 3.0", "stage = 2", "time_share = 0.0"),
        *("stage = 3", "time_share = 1.0"),
    ]


@pytest.mark.parametrize("weight", ["blue", "blue=", "blue=-1"])
def test_weights_that_are_none_are_refused(
    weight: str, faces: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pack", "--out", str(tmp_path / "out"), "--faces", faces, "--size", "32"]
    assert main([*command, "--weight", weight]) == 1
    assert "SOURCE=W" in capsys.readouterr().err
