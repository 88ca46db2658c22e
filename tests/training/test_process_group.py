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
from torch import Tensor

from codeformer_core.training.config import RunConfig
from codeformer_core.training.loop import Trainer
from codeformer_core.training.toml import to_toml

STEPS = 4
ROOT = Path(__file__).parents[2]
WORKER = """
import sys, torch
from pathlib import Path
from codeformer_core.training import Trainer, load_config
config, folder, gradients = sys.argv[1:]
trainer = Trainer(load_config(Path(config)), Path(folder))
trainer.run()
if trainer.accelerator.is_main_process:
    torch.save([p.grad for p in trainer.trained], gradients)
torch.distributed.destroy_process_group()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_two(config: RunConfig, folder: Path) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Train with two gloo processes: weights of the state, and gradients of the last step."""
    settings, gradients = folder.with_suffix(".toml"), folder.with_suffix(".gradients")
    settings.write_text(to_toml(config))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-c", WORKER, str(settings), str(folder), str(gradients)]
    running = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    state = torch.load(folder / "state.pt", weights_only=True)
    return state["stage"], torch.load(gradients, weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 3])
def test_two_processes_have_the_gradients_of_one(
    tmp_path: Path, run_config: Callable[..., RunConfig], autoencoder: str, stage: int
) -> None:
    # The codebook starts from k-means in step 0, the adversarial loss (adaptive weight) in step 2.
    config = run_config(
        stage=stage, batch_size=4, steps=STEPS, quantize_after=0, adversarial_after=2
    )
    if stage == 3:
        config = replace(config, autoencoder=autoencoder, mild_share=0.5)
    # Adam divides gradients near zero by their own size: a small rate keeps rounding small.
    config = replace(config, learning_rate=1e-5)
    alone = Trainer(config, tmp_path / "alone")
    alone.run()
    state, gradients = run_two(config, tmp_path / "shared")
    for mine, parameter in zip(gradients, alone.trained, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(mine, parameter.grad, atol=2e-5, rtol=2e-3)
    for name, value in alone.stage.state().items():
        torch.testing.assert_close(state[name], value, atol=2e-5, rtol=1e-3)
