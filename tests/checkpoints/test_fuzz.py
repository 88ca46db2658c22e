"""Damaged files of every format: an error of ours that names the file, or a state dict; never else.

CODEFORMER_FUZZ_ROUNDS=10000 makes the long run of it.
"""

import os
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from codeformer_core.checkpoints import identify, network_from_state, read_state
from codeformer_core.errors import CheckpointError, CodeFormerError

ROUNDS = int(os.environ.get("CODEFORMER_FUZZ_ROUNDS", "60"))
SECONDS = 20.0
"""No file of a few kB may take longer, even on a busy machine."""
MAX_GROWTH_KB = 300_000
"""Growth of the largest memory ever held, above what PyTorch itself imports on the way."""


def _flipped(data: bytes, chance: random.Random) -> bytes:
    """A few bits turned over, most of them where the table of contents is."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        reach = chance.choice([64, 512, 4096, len(data)])
        start = chance.choice([0, max(0, len(data) - reach)])
        changed[min(len(data) - 1, start + chance.randrange(reach))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _overwritten(data: bytes, chance: random.Random) -> bytes:
    """A run replaced by extreme numbers or noise."""
    start = chance.randrange(len(data))
    run = chance.choice([b"\xff" * 8, b"\x00" * 8, b"\x7f" * 4, chance.randbytes(16)])
    return data[:start] + run + data[start + len(run) :]


def _spliced(data: bytes, chance: random.Random) -> bytes:
    """A run cut out and put in elsewhere."""
    start = chance.randrange(len(data))
    run = data[start : start + chance.randrange(1, 200)]
    target = chance.randrange(len(data))
    return data[:target] + run + data[target:]


MUTATIONS = (_flipped, _truncated, _overwritten, _spliced)


@pytest.fixture(autouse=True)
def _flat_memory() -> Iterator[None]:
    """No file of a few kB may cost more than a fraction of a gigabyte at any time."""
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_GROWTH_KB


@pytest.fixture
def small_state() -> dict[str, torch.Tensor]:
    """Few tensors, so that the tables of contents are hit often."""
    return {
        "encoder.blocks.0.weight": torch.randn(4, 3),
        "quantize.embedding.weight": torch.ones(2),
    }


def _write(state: dict[str, torch.Tensor], kind: str, path: Path) -> bytes:
    if kind == "safetensors":
        from safetensors.torch import save_file

        save_file(state, path, {"variant": "inpainting"})
    else:
        torch.save({"params_ema": state}, path, _use_new_zipfile_serialization=kind == "archive")
    return path.read_bytes()


def _read_or_refuse(path: Path) -> None:
    """Read a damaged file; only our own errors with its name may come out."""
    start = time.monotonic()
    try:
        state, metadata = read_state(path)
        size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
        assert size <= 2 * path.stat().st_size
        identify(state, metadata)
    except CheckpointError as error:
        assert path.name in str(error) or "looks like" in str(error)
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("kind", ["safetensors", "archive", "legacy"])
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.strip("_"))
def test_a_damaged_file_is_read_or_refused(
    mutate, kind: str, small_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    data = _write(small_state, kind, tmp_path / "whole.pth")
    chance = random.Random(f"{kind} {mutate.__name__}")
    path = tmp_path / "damaged.pth"
    for _ in range(ROUNDS):
        path.write_bytes(mutate(data, chance))
        _read_or_refuse(path)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__.strip("_"))
def test_a_damaged_pickle_in_a_sound_archive_is_read_or_refused(
    mutate, small_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    # The archive's checksums would catch most damage before the pickle is looked at.
    _write(small_state, "archive", tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    chance = random.Random(mutate.__name__)
    path = tmp_path / "damaged.pth"
    for _ in range(ROUNDS):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, mutate(data, chance) if name.endswith(".pkl") else data)
        _read_or_refuse(path)


def test_shuffled_shapes_build_a_network_or_are_refused(
    published_state: dict[str, torch.Tensor],
) -> None:
    chance = random.Random(0)
    keys = list(published_state)
    for _ in range(ROUNDS // 3):
        state = dict(published_state)
        for _ in range(chance.randint(1, 4)):
            key = chance.choice(keys)
            action = chance.randrange(4)
            if action == 0:
                state.pop(key, None)
            elif action == 1:
                state[key] = torch.zeros([chance.choice([0, 1, 7, 64])] * chance.randint(0, 5))
            elif action == 2:
                state[key.replace("1", "2")] = published_state[key]
            else:
                state[key] = published_state[chance.choice(keys)]
        try:
            network_from_state(state, {"heads": chance.choice(["8", "4", "-1", "x", "1e9"])})
        except CodeFormerError as error:
            assert len(str(error)) > 20
