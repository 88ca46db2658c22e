"""The small public interface: complete, lazy, and what the README promises."""

import subprocess
import sys
from pathlib import Path

import pytest

import codeformer_core

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", codeformer_core.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name):
    value = getattr(codeformer_core, name)
    assert value.__name__ == name
    assert value.__doc__
    assert name in dir(codeformer_core)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="nonsense"):
        codeformer_core.nonsense  # noqa: B018


def test_the_version_is_the_projects():
    assert codeformer_core.__version__ in (ROOT / "pyproject.toml").read_text().splitlines()[7]


def test_importing_the_package_loads_nothing():
    code = "import sys, codeformer_core; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_restoring_a_photo_takes_four_lines(tmp_path, tiny_codeformer, astronaut):
    from codeformer_core.checkpoints import save_network

    path = save_network(tmp_path / "tiny.safetensors", tiny_codeformer)
    network = codeformer_core.load_codeformer(path)
    detector = codeformer_core.load_detector("yunet")
    result = codeformer_core.restore_image(astronaut, network, detector, fidelity=0.5)
    assert result.image.shape == astronaut.shape
    assert result.faces.count == 1
