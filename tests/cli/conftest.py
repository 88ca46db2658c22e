"""What the tests of the command line share."""

from pathlib import Path

import pytest

from codeformer_core.checkpoints import save_network


@pytest.fixture
def model(tmp_path, tiny_codeformer) -> Path:
    """A weight file of 64 px with random numbers."""
    folder = tmp_path / "models"
    folder.mkdir()
    return save_network(folder / "tiny.safetensors", tiny_codeformer)
