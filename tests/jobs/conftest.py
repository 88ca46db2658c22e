"""What the tests of jobs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from codeformer_core.checkpoints import save_network


@pytest.fixture
def model(tmp_path, tiny_codeformer) -> Path:
    """A weight file of 64 px with random numbers."""
    folder = tmp_path / "models"
    folder.mkdir()
    return save_network(folder / "tiny.safetensors", tiny_codeformer)


@pytest.fixture
def memory() -> Iterator[str]:
    """The address of an empty folder in this process's memory."""
    import fsspec

    store = fsspec.filesystem("memory")
    yield "memory://bucket"
    store.rm("/", recursive=True)
