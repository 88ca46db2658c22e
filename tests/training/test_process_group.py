"""Two processes that share a batch learn what one learns from all of it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from codeformer_core.training.config import RunConfig
from codeformer_core.training.loop import Trainer
from codeformer_core.training.toml import to_toml

STEPS = 4
ROOT = Path(__file__).parents[2]
WORKER = """
import sys, torch
from pathlib import Path
from codeformer_core.training import Trainer, load_config
for folder in map(Path, sys.argv[1:]):
    trainer = Trainer(load_config(folder.with_suffix(".toml")), folder)
    trainer.run()
    if trainer.accelerator.is_main_process:
        torch.save([p.grad for p in trainer.trained], folder.with_suffix(".gradients"))
torch.distributed.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_two(folders: list[Path]) -> None:
    """Train with two gloo processes, one run after the other, with the settings beside each."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *map(str, folders)],
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors


def assert_same(alone: Trainer, shared: Path) -> None:
    """Weights of the state, and gradients of the last step."""
    gradients = torch.load(shared.with_suffix(".gradients"), weights_only=True)
    for mine, parameter in zip(gradients, alone.trained, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(mine, parameter.grad, atol=2e-5, rtol=2e-3)
    state = torch.load(shared / "state.pt", weights_only=True)["stage"]
    for name, value in alone.stage.state().items():
        torch.testing.assert_close(state[name], value, atol=2e-5, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(
    tmp_path: Path, run_config: Callable[..., RunConfig], autoencoder: str
) -> None:
    # The codebook starts from k-means in step 0, the adversarial loss (adaptive weight) in step 2.
    # Adam divides gradients near zero by their own size: a small rate keeps rounding small.
    one = run_config(
        batch_size=4, steps=STEPS, quantize_after=0, adversarial_after=2, learning_rate=1e-5
    )
    configs = (one, replace(one, stage=3, autoencoder=autoencoder, mild_share=0.5))
    shared = [tmp_path / f"shared{config.stage}" for config in configs]
    for config, folder in zip(configs, shared, strict=True):
        folder.with_suffix(".toml").write_text(to_toml(config))
    run_two(shared)
    for config, folder in zip(configs, shared, strict=True):
        alone = Trainer(config, tmp_path / f"alone{config.stage}")
        alone.run()
        assert_same(alone, folder)
